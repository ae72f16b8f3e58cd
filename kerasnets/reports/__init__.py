"""What a person looks at: tables, pages, plots, windows."""
