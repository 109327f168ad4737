"""Articles, readers, label sets, splits and corpora."""
