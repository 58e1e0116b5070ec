"""Sentences worth watching, and what to look for in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lstmviz.cells import cell_called
from lstmviz.data.vocabulary import EOS, NEWLINE_SIGN, SPECIALS
from lstmviz.opened import OpenModel, is_grammar
from lstmviz.roles import ROLES
from lstmviz.tasks.tag import one_direction


@dataclass(frozen=True)
class Example:
    """A sentence and what to look for in it.

    Args:
        text: as it is put into the box.
        look: for any model.
        keeping: and this, for a model with a gate that keeps, which is called "{gate}" here.
    """

    text: str
    look: str
    keeping: str = ""


EXAMPLES = {
    "shakespeare": [
        Example(
            "⏎ROMEO:⏎What light is this, that breaks so soon the night?⏎",
            "A name in capitals: the loss is high until the name can be guessed.",
            "Follow the {gate}: which units let go at spaces, and which at ⏎?",
        ),
        Example(
            "⏎⏎First Citizen:⏎We are accounted poor citizens, the patricians good.⏎",
            "The same two words open many scenes, so after F, i, r the model is nearly certain. The loss jumps again "
            "where a word begins and could be anything.",
        ),
        Example(
            "zqxj zqxj zqxj zqxj zqxj",
            "Letters that English never puts together. The first round is a shock at every letter. Does the fifth "
            "still surprise it? If not, some unit remembers.",
        ),
    ],
    "wikitext": [
        Example(
            "The film was released in the United States in 1994 and received positive reviews from critics .",
            "Names and set phrases cost little (United States, reviews from critics). The year is a guess among many: "
            "see its loss, and the five likeliest next words just before it.",
        ),
        Example(
            "When she tried to print her tickets, she found that the printer was out of toner.",
            "Does the model still hold the printer when toner comes? Its loss there tells; a unit whose row stays "
            "one colour from printer to toner might carry it. With the 4-gram laid over (baseline), memory pays: at "
            "her, at the comma, at out.",
        ),
        Example(
            '" I have never seen anything like this , " she said .',
            "Lay the 4-gram over the loss (baseline): here counting wins, at nearly every word. Each follows words "
            "that it met together, and to guess it no more needs to be remembered.",
        ),
        Example(
            "He said that she didn't know what it was, but they were all there.",
            "Small everyday words are cheap. The text is split as the corpus is: didn't is two tokens, and the comma "
            "is one of its own.",
        ),
    ],
    "brackets": [
        Example(
            "(x(xx(x(x)x))(x)x)",
            "Whether the sentence may end after a ) depends on how many brackets are open. Below the map: does the "
            "selected unit take one step at every ( and one back at every )? That is counting, learned from prediction "
            "alone.",
        ),
        Example(
            "(((((((())))))))",
            "Straight in and straight out again. A unit that counts draws a triangle below the map, upwards or "
            "downwards; and the deeper, the likelier is a closing bracket.",
        ),
        Example("(x)⏎((x))⏎(x", "After ⏎ a new sentence begins: a counter must go back to nothing at once."),
    ],
    "recall": [
        Example(
            "bz?bxyx?bzyxyxz?bxzyyxzxyzzyxyxzyx?b",
            "After every ? stands the first symbol again, each time further from where it stood last. A cell that "
            "remembers is surprised by none of them; one that forgot pays ln 4 = 1.4 nats at the last. x, y and z "
            "cannot be known: each costs about ln 3 = 1.1, and more where a ? might have come.",
        ),
        Example(
            "dz?dxx?dxzyxxz?dyyyxyyzzy?dyyyzyxyxzzzyxzxzxzxz?dzyxzzyxxxyzxxxzyyzyyxzzxyxxxxzyyzxyyxzzxyzzxzyxxyzzzzx?d",
            "More than fifty tokens lie between d and the last question; in training it was never over 64. A unit that "
            "keeps d through them stays one colour.",
        ),
        Example(
            "bz?bxyx?d", "The wrong symbol at the end. Whoever remembers b is surprised; whoever forgot it is not."
        ),
    ],
    "agreement": [
        Example(
            "the key near the cabinets with the dogs is lost .",
            "The subject is key, so the verb must be is; cabinets and dogs must not count. Does the "
            "selected unit change at key, and stay as it is over both?",
        ),
        Example(
            "the keys near the cabinet with the dog are lost .",
            "The same sentence with the numbers turned round: a unit that carries the number goes the other way at "
            "keys and stays there until are, over cabinet and dog.",
        ),
        Example(
            "the key near the cabinets are lost .",
            "A mistake that people make too. A model that knows the subject expects is, sees or was, and pays for are.",
        ),
    ],
}


ASKED = {  # of tasks in which a text is not gone on with, by task and corpus
    ("classify_text", "recall"): [
        Example(
            "bz?bxyx?bzyxyxz?bxzyyxzxyzzyxyxzyx?",
            "After every ? stands the first symbol again; after the last one it is asked. Which units hold one colour "
            "from the first b to the end?",
        ),
        Example(
            "dz?dxx?dxzyxxz?dyyyxyyzzy?dyyyzyxyxzzzyxzxzxzxz?dzyxzzyxxxyzxxxzyyzyyxzzxyxxxxzyyzxyyxzzxyzzxzyxxyzzzzx?",
            "More than fifty tokens lie between the last d and the question. What it would say along the way "
            "changes where it takes another symbol for the one to be remembered.",
        ),
        Example("cx?czy?cyx", "Here nothing is asked yet. What would it say, if this were all?"),
    ],
    ("classify_text", "agreement"): [
        Example(
            "the key near the cabinets with the dogs",
            "Which form of the verb may come? The subject is key; cabinets and dogs must not count. What it says after "
            "every word: does it change its mind at cabinets?",
        ),
        Example("the keys near the cabinet with the dog", "The same sentence with the numbers turned round."),
    ],
    ("caption", "sheep"): [
        Example(
            "the sheep behind the dogs near the small key with the children ",
            "Of a sheep nobody hears whether it is one or many: only the label knows. Choose another above: it changes "
            "the verb, is, are, was or were, over all the other nouns. After each noun the verb may come; see the bar.",
        ),
        Example(
            "the sheep are lost . ⏎",
            "Once the verb is said nothing depends on the label any more: no bar is left after it. Which units let go?",
        ),
        Example("the", "Hardly begun. Let it write on (continue), once for each label."),
    ],
    ("caption", "count"): [
        Example(
            "yx",
            "The label says how many x there are, and after the last of them the text ends: with 1 here. Choose more, "
            "and type on.",
        ),
        Example(
            "yxzxxyyx",
            "Four x: begun by 4 the text ends here, by 9 five more will come. Which units take a step at every x? That "
            "is counting down.",
        ),
        Example(
            "xxxxxxxxx⏎", "Nine in a row. The bars say after which x it might have ended, had the label been another."
        ),
    ],
    ("tag", "between"): [
        Example(
            "axxxbyyczzza",
            "The label of a token is the last of a, b, c up to it, and the next from it on: between a and b it is ab. "
            "So at each x the first half is known from the left, and the second only from the right.",
        ),
        Example(
            "azzzzzzzzzc",
            "A long stretch. What → holds all along is a; what ← holds is c, which it met first. Change the last "
            "symbol: all labels change, but not what → does.",
        ),
        Example("cxcxcxc", "Short stretches: nearly every token changes what is held."),
    ],
    ("tag", "nonsense"): [
        Example(
            "the plimped plimps plimped the gromful plimps",
            "No word but the was ever met; their endings tell, to a model that reads letters. With -ed a word is an "
            "adjective behind the, and a verb behind a noun: which units tell the two plimped apart?",
        ),
        Example(
            "Brindalton snirply wozzled the frumbous mivness and Brindalbert zarnates Quilkin",
            "Places and persons stand in the same places: only their letters tell, -ton, -bert and -kin. A model that "
            "knows words only whole reads the same <unk> at each.",
        ),
    ],
    ("tag", "expressions"): [
        Example(
            "max ( 3 , min ( 7 , 2 ) , 5 )",
            "At each closing bracket it is asked what the operation that ends there is worth; elsewhere nothing is. To "
            "know the last one, 3 must be held while min is worked out. A Tree-LSTM reads the same as a tree.",
        ),
        Example(
            "first ( min ( 9 , max ( 4 , 6 ) ) , 1 )",
            "min must wait for what max is worth. Which units change at every opening bracket, and which back at its "
            "closing one?",
        ),
    ],
    ("tree", "expressions"): [
        Example(
            "max(3, min(7, 2), 5)",
            "The thicker the line from a child, the more of what it holds its parent keeps. Of which child of max is "
            "most kept? Change 5 to 9, or to 1.",
        ),
        Example(
            "first(3, 9, 5)",
            "Only the first counts. The N-ary cell has a forget gate with weights of its own for each place, so it can "
            "keep the first and drop the others; to the child-sum cell first(3, 9, 5) and first(9, 5, 3) are the same.",
        ),
        Example(
            "min(max(8, 2), first(4, 6), 7)",
            "Each operation sees what its children made of theirs, and no digit below them: does a value come through?",
        ),
        Example(
            "max(1, min(9, max(2, min(8, max(3, min(7, max(4, 6)))))))",
            "Seven operations one within the other; in what it learned from there were five at most.",
        ),
    ],
}

BARS = (
    "The blue bars say how much of what comes next another label would change. As long as they come back, the label is "
    "remembered."
)
ASKED |= {
    ("translate", "reverse"): [
        Example(
            "3141592653",
            "Step through what it says with the key →. With attention the tint over what was read moves from the last "
            "symbol to the first; without it all must come out of one vector, and not every symbol does.",
        ),
        Example(
            "271828182845", "Twelve symbols, the most that it met in training. Without attention few come out right."
        ),
        Example("31415926535897932384", "Twenty: longer than any that it learned, and neither kind can say them."),
    ],
    ("translate", "sort"): [
        Example(
            "3141592653",
            "The smallest first. Each step must find the next one wherever it stands; of equal ones the outline marks "
            "them from left to right.",
        ),
        Example("9876543210", "The other way round: to sort it is to say it backwards."),
        Example("7777", "All equal: any order is right, and it must say how many there were."),
    ],
    ("translate", "dates"): [
        Example(
            "the twenty first of may nineteen ninety five",
            "The year comes last, and is said first. The words of a number are outlined at each of its digits.",
        ),
        Example("the third of march nineteen forty", "Fewer words, as many digits: the zeros stand in no word."),
    ],
}

LOOKS = (
    "At every step it looks back (attention): each place that was read gets a share, by how well it fits (hᵀ W m, the "
    "general score of Luong et al. 2015), and the step speaks from h and from the places, mixed by their shares."
)
NO_LOOK = "It has no attention: what was read reaches it only as the one vector from which it begins."
LEFT_ONLY = "It reads from the left only: what stands after a token cannot count."
BOTH_WAYS = (
    "It reads in both directions: → has read all up to the token, ← all from the end back to it, and the label is said "
    "from both."
)
SHUFFLED = "Before it reads, the pixels are shuffled, always in the same way, so no stroke is left whole."
GUIDES = {  # for somebody who never met the shape
    "caption": "One input, many outputs (1–N): a label makes the state in which the text begins. It is not read again: "
    "what follows is said from memory.",
    "classify": "Many inputs, one answer (N–1): the model reads the image row by row, from the top, and remembers; "
    "what it says after the last row is which digit it is. A column is a row.",
    "classify_text": "Many inputs, one answer (N–1): the model reads token by token, and is asked for one label when "
    "it has read all. Before, it is shown what it would say if the text ended there.",
    "tree": "A tree to its values (Tree-LSTM): a column is a node, behind its arguments; the root is the last. Where "
    "an LSTM has one step before, a node has its children, and a forget gate for each: what it keeps of that child. It "
    "is asked for the value of every operation. An LSTM that reads the same as text is the model expressions-lstm.",
    "tag": "Many inputs, as many answers (N–N): the model says a label for every token.",
    "translate": "A sequence to another (N–M): one network reads all of it, in both directions; a second then says "
    "token after token, until it says ⏎, the end.",
}

SIDE_BY_SIDE = {
    "sheep": "Only the label knows whether one sheep is meant, or many, now or then. After each noun a verb may come: "
    "who still knows the label at the last?",
    "recall": "After every ? stands the first symbol again, each time further back. Who still knows it at the last?",
    "brackets": "Whether a sentence ends after ) takes counting. Which memories step with the brackets, and which "
    "gates stay near 0.5?",
    "agreement": "The verb agrees with the first noun, whatever stands between. Which memories hold one colour until "
    "then?",
    "nonsense": "Many of these words were never met, and their endings tell what they are. Who knows words only whole "
    "can guess one in two; who reads them by their letters knows.",
    "reverse": "To say a sequence backwards from one vector, all of it must fit there; with attention each step looks "
    "it up. Up to which step is each right, and what of longer sequences?",
    "between": "The label of a token is the last of a, b, c up to it and the next from it on. At a filler (x, y, z) "
    "one side knows only the half: read from the left alone, by whatever model, at most "
    f"{float(one_direction()):.2%} are right.",
}  # what to look for when several models read generated text


def examples_for(opened: OpenModel) -> list[Example]:
    """Sentences that fit the model's corpus."""
    if asked := ASKED.get((opened.task.name, opened.checkpoint.train.corpus)):
        return asked
    if opened.is_asked:
        return [Example(opened.written, f"A {opened.task.whole} as it is asked.")]
    name = opened.checkpoint.corpus_name.lower()
    for key, examples in EXAMPLES.items():
        if key in name.replace("-", "").replace(" ", ""):
            return [replace(example, look=look_for(example, opened)) for example in examples]
    text = opened.written.replace("\n", opened.checkpoint.vocabulary.newline_sign)
    return [Example(text, "A sentence that the model wrote itself.")]


def buttons_of(opened: OpenModel) -> list[str]:
    """The few tokens of a grammar, as a sentence is written by pressing them; of another model none."""
    if not is_grammar(opened):
        return []
    reads = opened.reads
    ends = [EOS] if reads.level == "word" and not opened.is_asked else []  # what is asked is read by itself
    tokens = [*reads.tokens[len(SPECIALS) :], *ends]
    tokens.sort(key=lambda token: (token.isdigit(), token in (EOS, "\n"), token))  # digits and the end go last
    return [NEWLINE_SIGN if token in (EOS, "\n") else token for token in tokens]


def guide_to(opened: OpenModel) -> str:
    """A sentence or two for somebody who never met that shape of sequence; empty for text that is gone on with."""
    guide = GUIDES.get(opened.task.name, "")
    if opened.checkpoint.train.permuted is not None:
        return f"{guide} {SHUFFLED}"
    if opened.labels:
        return f"{guide} {BARS}"
    if opened.says_another:
        return f"{guide} {NO_LOOK if opened.checkpoint.model.attention == 'none' else LOOKS}"
    if opened.task.one_way or not guide:
        return guide
    return f"{guide} {BOTH_WAYS if opened.checkpoint.model.bidirectional else LEFT_ONLY}"


def look_for(example: Example, opened: OpenModel) -> str:
    """What can be seen in this model: of a gate it speaks where the cell has one, and by its name."""
    cell = cell_called(opened.checkpoint.model.cell)
    gate = cell.doer("keeps") if cell.keeping else None  # nfg's is 1, whatever it reads
    if gate is None or not example.keeping:
        return example.look
    return f"{example.look} {example.keeping.format(gate=ROLES[gate].label)}"
