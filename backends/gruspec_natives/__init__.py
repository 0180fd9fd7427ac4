"""The GRUs that frameworks ship, run as they are with weights in their own layouts."""
