"""The platform client: one port, its adapters, and what the platform answers mean."""
