"""What a person looks at: tables, HTML pages, plots and windows."""
