"""What operations remembers: reconciliation's reports, incidents and their alerts."""
