"""What the node remembers of projects, cohorts, jobs, releases and epochs: tables and all SQL about them."""
