"""Stand-ins for what the product runs against; never in the production image."""
