"""The points at which a process may die while it handles money, and how life goes on."""
