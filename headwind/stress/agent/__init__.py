"""The agent that runs inside Python servers; its only module is found by Python under the name `sitecustomize`."""
