"""What Prometheus records and alerts on."""
