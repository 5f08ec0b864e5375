"""The whole system on this machine: services, stand-ins, every process of the product, one deal."""
