"""Language: the next token of a text, after every token."""

from lstmviz.data.corpora import open_corpus
from lstmviz.data.grammars import GRAMMARS
from lstmviz.tasks.base import Task

LANGUAGE = Task("language", "a text: the next token", tuple(GRAMMARS), open_corpus)
