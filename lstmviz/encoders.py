"""What makes a vector of what is read, where that is no row of a table."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.data.vocabulary import PADDING
from lstmviz.sizes import LETTER_SIZE


class Spelled(nn.Module):
    """A vector for every word, known or not, of the letters that it is written with: in the place of a table of words.

    ::

        c_1 … c_n        a vector for each letter of a word, its begin and its end being letters, too; behind it <pad>
        f_it = W_i [c_t, …, c_{t+k-1}] + b_i        filter i over k letters, at each of the n places
        x_i  = tanh(max_t f_it)                     how much of what it looks for it finds anywhere

    So do Kim, Jernite, Sontag & Rush 2016, "Character-aware neural language models", with filters of several widths and
    highway layers over them; here all filters have one width, and what they say is the vector.

    Args:
        letters: how many there are, with the specials.
        width: letters k that a filter sees side by side.
        filters: how many, E: numbers of a word's vector.
    """

    def __init__(self, letters: int, width: int, filters: int) -> None:
        super().__init__()
        self.width = width
        self.letters = nn.Embedding(letters, LETTER_SIZE, _weight=torch.empty(letters, LETTER_SIZE).uniform_(-1, 1))
        self.filters = nn.Conv1d(LETTER_SIZE, filters, width)

    def forward(self, words: Tensor) -> Tensor:
        """Vectors ``(T, B, E)`` of words ``(T, B, W)``, each a row of letters with `PADDING` behind it."""
        return self.reactions(words).amax(-1).tanh()

    def reactions(self, words: Tensor) -> Tensor:
        """f, how strongly each filter reacts to the letters from each place on: ``(T, B, E, W)``, -∞ behind a word."""
        ahead = F.pad(words, (0, self.width - 1), value=PADDING)  # so that filters may hang over
        letters = self.letters(ahead).flatten(0, 1).transpose(1, 2)  # (T · B, C, W + k - 1)
        found = self.filters(letters).unflatten(0, words.shape[:2])  # (T, B, E, W)
        return found.masked_fill((words == PADDING)[:, :, None], -torch.inf)
