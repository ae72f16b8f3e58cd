"""What needs a checkout: recipes run over seeds and backends, lessons written as pages."""
