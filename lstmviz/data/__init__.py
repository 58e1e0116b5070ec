"""Texts as token ids: vocabularies, corpora from files, grammars that generate them."""
