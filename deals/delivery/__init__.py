"""From an approved ad to a post that stayed: rehearsing, posting once, looking again."""
