"""The same model behind what users would pick instead, each in an environment of its own, its batching on."""
