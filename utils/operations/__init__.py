"""What is done about what was measured: rules, alerts, and who is told."""
