"""What needs a checkout: recipes run over seeds and backends, and lessons written as pages."""
