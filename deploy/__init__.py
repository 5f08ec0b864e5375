"""What runs and watches the product in production; `python -m deploy` writes what is rendered."""
