"""The live Monitoring tab: what the endpoint does now, at the endpoint's own address."""
