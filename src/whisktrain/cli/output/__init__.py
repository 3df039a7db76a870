"""What a person sees: results, tables, and lines that change while something takes its time."""
