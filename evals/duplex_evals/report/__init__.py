"""What a run tells: JSON for machines, Markdown for a pull request, one HTML page for people."""
