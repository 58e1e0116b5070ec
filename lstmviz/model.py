"""The language model: embedding, a stack of recurrent layers, decoder."""

from __future__ import annotations

from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells import CELLS, layer_called
from lstmviz.cells.base import State, chrono
from lstmviz.cells.tree import TreeCell
from lstmviz.config import ModelConfig
from lstmviz.data.vocabulary import IGNORED, NOT_FINITE, NOTHING_FOLLOWS
from lstmviz.encoders import Spelled
from lstmviz.layers import Attending, Begin, Stack, TreeStack, Window
from lstmviz.sizes import SHORTLIST, TAIL_DIV

SCORES = 2**22  # held at once where a text is read (16 MB), however long it is and whatever the vocabulary


def at_once(vocab_size: int) -> int:
    """Tokens, one at least, whose scores are held at once: a text is scored in pieces of so many."""
    return max(1, SCORES // vocab_size)


class AdaptiveSoftmax(nn.Module):
    """A decoder in two parts: the head scores the commonest tokens and "a rarer one", the tail the rarer ones.

    ``nn.AdaptiveLogSoftmaxWithLoss`` cannot keep its loss in float32 under autocast to bfloat16.

    Args:
        hidden_size: size of what is decoded.
        vocab_size: number of tokens, the commonest first.
    """

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        small = max(1, hidden_size // TAIL_DIV)
        self.head = nn.Linear(hidden_size, SHORTLIST + 1)
        self.tail = nn.Sequential(nn.Linear(hidden_size, small, bias=False), nn.Linear(small, vocab_size - SHORTLIST))

    def forward(self, x: Tensor) -> Tensor:
        """ln p of every token: ``(…, H)`` to ``(…, V)``."""
        head = self.head(x).log_softmax(-1)  # (…, C + 1)
        tail = self.tail(x).log_softmax(-1)  # (…, V - C)
        return torch.cat([head[..., :-1], head[..., -1:] + tail], dim=-1)

    def loss(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean nll of ``targets`` ``(N,)`` after ``x`` ``(N, H)``; the tail is computed for the rarer ones only."""
        rare = targets >= SHORTLIST  # (N,)
        head, tail = self.head(x).float(), self.tail(x[rare]).float()  # (N, C + 1), (R, V - C)
        nll = F.cross_entropy(head, targets.clamp(max=SHORTLIST), reduction="sum")
        return (nll + F.cross_entropy(tail, targets[rare] - SHORTLIST, reduction="sum")) / len(targets)


class Predictor(Protocol):
    """What can be asked of any model of a text: a `LanguageModel` is one, and so may be a table of counts.

    Its state is what it keeps of what it has read: a list of dicts, name -> ``(B, …)``, a row for each of B texts.
    """

    @property
    def device(self) -> torch.device:
        """Where its tokens must lie."""
        ...

    def __call__(self, tokens: Tensor, state: list[State] | None = None, /) -> tuple[Tensor, list[State]]:
        """How likely every token is after each.

        Args:
            tokens: int64 ``(T, B)``.
            state: before the first of them; by default nothing was read.

        Returns:
            Scores ``(T, B, V)``, which are ln p but for a number that all of a step have in common, and the state after
            the last token.
        """
        ...

    def loss(self, tokens: Tensor, targets: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Mean nll in nats of ``targets`` ``(T, B)``, each after its token, and the state after the last token."""
        ...


class LanguageModel(nn.Module):
    """Predicts every next token of a sequence: embeds it, runs over it, decodes.

    At each of the three something else can enter than what the one before gave. Where it reads rows of an image
    (``config.row_size``) they enter at the first, by a linear map in the embedding's place, and what it predicts is a
    label: so ``(T, B)`` below is ``(T, B, W)``, and a target is that of the whole sequence. So it is where it reads
    words by their letters (``config.letters``): a word is a row of them (see `Spelled`). Where it reads tokens of
    another vocabulary than it predicts (``config.tokens_read``), those are labels, too; or, where one sequence is said
    for another (``config.attention``), ``(T, B)`` is ``(T, B, 2)``: a token that is read, and one that was said before,
    whose number comes after those of all that are read. Where a label begins what is said (``config.labels_read``),
    ``(T, B, 2)`` is the label, the same at each step, and the token that was said before: h_0, c_0 = W_b e(label) + b_b
    (see `lstmviz.layers.Begin`), and all else is as without.

    Args:
        config: sizes and cell.
        vocab_size: number of tokens that it predicts, specials included, or of labels.

    Raises:
        ValueError: such a model cannot have so many tokens.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        config.check_vocabulary(vocab_size)
        self.config = config
        cell = layer_called(config.cell)
        output_size = config.directions * cell.output_of(config.hidden_size)
        # Given weights: on the meta device nn.Embedding's own normal draw would import 2 s of compiler. They are drawn
        # again below; this draw only keeps the random stream that the shipped checkpoints were trained with.
        self.vocab_size = vocab_size
        if config.letters:
            self.embedding = Spelled(config.tokens_read or vocab_size, config.letters, config.embedding_size)
        elif config.row_size is None:
            known = config.tokens_read or vocab_size
            if config.attention:  # what is read, and what is said
                known += vocab_size
            weight = torch.empty(known, config.embedding_size).uniform_()
            self.embedding = nn.Embedding(known, config.embedding_size, _weight=weight)
        else:
            self.embedding = nn.Linear(config.row_size, config.embedding_size)
        sizes = config.embedding_size, config.hidden_size
        if config.window:
            self.layers = cast(Stack, Window(*sizes, config.window, config.dropout))
        elif config.attention:
            looks = config.attention != "none"
            told = Attending(CELLS[config.cell], *sizes, config.num_layers, dropout=config.dropout, looks=looks)
            self.layers = cast(Stack, told)
        elif issubclass(cell, TreeCell):
            self.layers = cast(Stack, TreeStack(cell, *sizes, config.num_layers, config.dropout))
        else:
            options = {"dropout": config.dropout, "bidirectional": config.bidirectional}
            self.layers = Stack(CELLS[config.cell], *sizes, config.num_layers, **options)
        self.labels: nn.Embedding | None = None
        self.begin: Begin | None = None
        if config.labels_read:
            weight = torch.empty(config.labels_read, config.embedding_size).uniform_(-0.1, 0.1)
            self.labels = nn.Embedding(config.labels_read, config.embedding_size, _weight=weight)
            self.begin = Begin(config.embedding_size, self.layers)
        decoder = AdaptiveSoftmax if config.adaptive_softmax else nn.Linear
        self.decoder = decoder(output_size, vocab_size)
        if isinstance(self.embedding, nn.Embedding):
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            if config.embedding_std is not None and not self.embedding.weight.is_meta:
                nn.init.normal_(self.embedding.weight, std=config.embedding_std)
        for parameter in self.decoder.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1) if parameter.dim() == 2 else nn.init.zeros_(parameter)
        for layer in self.layers if not config.window else ():
            if config.forget_bias is not None:
                layer.begin_keeping(torch.full((config.hidden_size,), float(config.forget_bias)))
            if config.chrono is not None:
                layer.begin_keeping(chrono(config.hidden_size, config.chrono), writing_less=True)
        if config.tie_weights:
            self.decoder.weight = cast(nn.Embedding, self.embedding).weight

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.parameters()).device

    def embed(self, tokens: Tensor) -> Tensor:
        """The vectors ``(T, B, E)`` of tokens ``(T, B)``."""
        return self.embedding(tokens)

    def begun(self, labels: Tensor) -> list[State]:
        """The state in which what these labels ``(B,)`` begin is said.

        Raises:
            ValueError: no label begins what this model says.
        """
        if self.labels is None or self.begin is None:
            raise ValueError("no label begins what this model says")
        return self.begin.state(self.labels(labels), self.layers.initial_state(len(labels)))

    def run(
        self, vectors: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """What the layers make of vectors ``(T, B, E)``: what the last one says, ``(T, B, D·H)``, and their state.

        Args:
            lengths: as for `Stack`; of trees, as for `TreeStack`, each node's parent, ``(T, B)``.
        """
        return self.layers(vectors, state, lengths)

    def decode(self, hidden: Tensor) -> Tensor:
        """Logits ``(…, V)`` of what the last layer says, ``(…, D·H)``. Those of an adaptive softmax are ln p."""
        return self.decoder(hidden)

    def forward(self, tokens: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Logits of the token after each token.

        Args:
            tokens: int64 ``(T, B)``.
            state: one a layer, before the first token; zeros by default.

        Returns:
            Logits ``(T, B, V)`` and the state after the last token. Those of an adaptive softmax are ln p.
        """
        hidden, last = self.run(self.embed(tokens), state)
        return self.decode(hidden), last

    def loss(
        self, tokens: Tensor, targets: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """How badly the token after each token is predicted, without what only a reader of all logits needs.

        Args:
            tokens: int64 ``(T, B)``.
            targets: int64 ``(S, B)``, after each of the last S of them; with lengths, `IGNORED` where nothing is asked.
            state: as for ``forward``.
            lengths: ``(B,)``, where those of the sequences differ: what follows is padding. As for ``run``.

        Returns:
            Mean nll in nats of what is asked, float32 under autocast too, and the state after the last token.
        """
        hidden, targets, last = self.asked(tokens, targets, state, lengths)
        if torch.is_grad_enabled():  # a backward pass needs the scores of all
            return self._nll(hidden, targets), last
        pieces = zip(*(values.split(at_once(self.vocab_size)) for values in (hidden, targets)), strict=True)
        total = torch.stack([self._nll(h, t).double() * len(t) for h, t in pieces]).sum()
        return (total / len(targets)).float(), last

    def asked(
        self, tokens: Tensor, targets: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[State]]:
        """Where something is asked: what is to be decoded there, ``(N, D·H)``, and its target, ``(N,)``; and the state.

        Args:
            tokens, targets, state, lengths: as for ``loss``.
        """
        if self.labels is not None:
            labels, tokens = tokens.unbind(-1)
            state = self.begun(labels[0])
        hidden, last = self.run(self.embed(tokens), state, lengths)
        hidden, targets = hidden[-len(targets) :].flatten(0, 1), targets.flatten()
        if lengths is not None:
            some = targets != IGNORED
            hidden, targets = hidden[some], targets[some]
        return hidden, targets, last

    def _nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean nll of ``targets`` ``(N,)`` after ``hidden`` ``(N, H)``."""
        if isinstance(self.decoder, AdaptiveSoftmax):
            return self.decoder.loss(hidden, targets)
        return F.cross_entropy(self.decode(hidden).float(), targets)

    @torch.no_grad()
    def record(self, tokens: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """As ``run`` does with embedded tokens, in eval mode and without gradients, keeping every gate and state.

        Returns:
            What the last layer says, ``(T, B, D·H)``, and one dict a cell, name -> ``(T, B, H)``, as `Stack.record`.
        """
        return self.layers.record(self.embed(tokens), state)

    @torch.no_grad()
    def sample(
        self,
        tokens: Tensor,
        count: int,
        temperature: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        *,
        state: list[State] | None = None,
        end: int | None = None,
    ) -> Tensor:
        """Continue a text by drawing token after token.

        Args:
            tokens: int64 ``(T,)``, T ≥ 1, what stands already.
            count: how many to draw.
            temperature: above 0; below 1 the likely become likelier.
            top_k: draw among the k likeliest only; 0 for all.
            seed: the same seed draws the same tokens.
            state: as for ``forward``.
            end: a token after which no more are drawn.

        Returns:
            The drawn tokens ``(count,)``, fewer where they end before; the specials <pad>, <unk> and <sos> are never
            drawn.

        Raises:
            FloatingPointError: the model's scores are no finite numbers, so there is nothing to draw from.
        """
        generator = torch.Generator().manual_seed(seed)
        hidden, state = self.run(self.embed(tokens[:, None]), state)
        logits, drawn = self.decode(hidden[-1:]), []  # (1, 1, V)
        for _ in range(count):
            drawn.append(draw(logits[-1, 0].cpu(), generator, temperature, top_k))  # (1,), where the generator is
            if drawn[-1] == end:
                break
            logits, state = self(drawn[-1][:, None].to(tokens.device), state)
        return torch.cat(drawn) if drawn else tokens[:0]


def draw(scores: Tensor, generator: torch.Generator, temperature: float = 1.0, top_k: int = 0) -> Tensor:
    """One token ``(1,)`` by the scores ``(V,)`` of all, as `LanguageModel.sample` draws; -∞ is what is impossible.

    Raises:
        FloatingPointError: the scores are no numbers, or nothing but the specials is possible.
    """
    scores = scores / temperature
    if not (scores < torch.inf).all():
        raise FloatingPointError(NOT_FINITE)
    scores[:3] = -torch.inf
    if not (scores > -torch.inf).any():
        raise FloatingPointError(NOTHING_FOLLOWS)
    if 0 < top_k < len(scores):
        scores[scores < scores.topk(top_k).values[-1]] = -torch.inf
    return torch.multinomial(scores.softmax(0), 1, generator=generator)
