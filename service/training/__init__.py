"""Makes the model, its card and the payload of real flights: `python -m service.training`."""
