#!/usr/bin/env bash
# Trains every shipped checkpoint, counts every table, measures every experiment: checkpoints/train.sh DATA_DIR [NAME …]
# DATA_DIR holds tinyshakespeare/input.txt, wikitext-2/{train,valid,test}.txt, the four idx files in mnist/ and, last,
# penn_small/{train,valid,test}.txt; results go to runs/NAME and, with their cards, here. The last is the text of the course report and
# comes with nobody: leave its experiments out.
set -euo pipefail
data=$1
shift
names=${*:-brackets agreement shakespeare-char-lstm shakespeare-char-lstm-128 shakespeare-char-gru-128 shakespeare-char-rnn-128 wikitext2-word-lstm
  shakespeare-char-6gram wikitext2-word-4gram lineups/brackets lineups/agreement lineups/recall recorded/brackets
  classify/digits-lstm classify/digits-rnn classify/mnist-lstm-128 classify/mnist-rnn-128
  classify/digits-permuted-lstm classify/digits-permuted-rnn tag/nonsense-words tag/nonsense-letters
  tag/between-lstm tag/between-lstm-bidirectional classify_text/recall-lstm classify_text/recall-rnn classify_text/agreement-lstm
  tree/expressions-nary tree/expressions-child-sum tag/expressions-lstm
  caption/sheep-lstm caption/sheep-rnn caption/count-lstm
  translate/reverse-lstm translate/reverse-lstm-bottleneck translate/sort-lstm translate/dates-lstm
  experiments/attention experiments/trees experiments/three-lstms experiments/gates experiments/depth experiments/vanishing experiments/exploding
  experiments/baselines-words experiments/baselines-characters}
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
export OMP_NUM_THREADS=1
# Word-level logits are large; let malloc keep their memory between steps instead of giving it back to the system.
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

train() { python -m lstmviz train "runs/$1" "${@:2}"; }
count() { python -m lstmviz count "checkpoints/$1.counts" "${@:2}"; }
experiment() { python -m lstmviz experiment "${1#experiments/}" --corpus "$2" --out "checkpoints/$1.json"; }
line_up() { # every cell, the same text, seed, steps and at most so many parameters
  local task=${1#lineups/}
  python -m lstmviz sweep "runs/$1" --cells all --corpus "$task" --embedding-size 8 --learning-rate 1e-2 "${@:2}"
  mkdir -p "checkpoints/$1"
  : > "checkpoints/$1.md"
  for run in runs/"$1"/*/; do
    cp "$run/best.safetensors" "checkpoints/$1/$(basename "$run").safetensors"
    printf '## %s\n\n%s\n\n' "$(basename "$run")" "$(cat "$run/card.md")" >> "checkpoints/$1.md"
  done
}
record() { # a small training with all that the Train page shows of one: its curves, and its gates as they learn
  train "$1" --corpus brackets --hidden-size 12 --embedding-size 8 --learning-rate 1e-2 --steps 1200 --eval-every 150 \
    --probe "(x(xx(x)x)(x)x)"
  mkdir -p "checkpoints/$1"
  cp -r "runs/$1"/{config.json,metrics.jsonl,best.safetensors,probes} "checkpoints/$1/"
  cp "runs/$1/card.md" "checkpoints/$1.md"
}
for name in $names; do
  case $name in
    recorded/*) record "$name"; continue ;;
    shakespeare-char-6gram) count "$name" --corpus "$data/tinyshakespeare/input.txt" --n 6 --like checkpoints/shakespeare-char-lstm.safetensors; continue ;;
    wikitext2-word-4gram) count "$name" --corpus "$data/wikitext-2" --n 4 --like checkpoints/wikitext2-word-lstm.safetensors; continue ;;
    experiments/baselines-words) experiment "$name" "$data/wikitext-2"; continue ;;
    experiments/baselines-characters) experiment "$name" "$data/tinyshakespeare/input.txt"; continue ;;
    experiments/vanishing|experiments/exploding) experiment "$name" recall; continue ;;
    experiments/attention) experiment "$name" reverse; continue ;;
    experiments/trees) experiment "$name" expressions; continue ;;
    experiments/*) experiment "$name" "$data/penn_small"; continue ;;
    lineups/brackets) line_up "$name" --parameters 4000 --steps 3000 --eval-every 200; continue ;;
    lineups/agreement) line_up "$name" --parameters 4000 --bptt 32 --steps 3000 --eval-every 200; continue ;;
    lineups/recall) line_up "$name" --parameters 6000 --steps 6000 --eval-every 300; continue ;;
  esac
  shakespeare=(--corpus "$data/tinyshakespeare/input.txt" --learning-rate 3e-3 --eval-every 500)
  case $name in
    classify/mnist-*-128) cell=${name#classify/mnist-}; train "$name" --task classify --corpus "$data/mnist" --cell "${cell%-128}" \
      --hidden-size 128 --embedding-size 32 --batch-size 128 \
      --learning-rate 3e-3 --steps 5150 --eval-every 429 ;;
    classify/digits-*) train "$name" --task classify --corpus digits --cell "${name##*-}" --hidden-size 48 \
      --embedding-size 16 --dropout 0.2 --learning-rate 5e-3 --steps 3000 --eval-every 100 \
      $(case $name in *-permuted-*) echo --permuted 0 ;; esac) ;;
    tag/nonsense-*) train "$name" --task tag --corpus nonsense --learning-rate 5e-3 --steps 1500 --eval-every 100 \
      $(case $name in # as many parameters
        *-letters) echo --level letters --embedding-size 16 --hidden-size 57 ;;
        *) echo --embedding-size 8 --hidden-size 32 ;; esac) ;;
    */expressions-*) train "$name" --corpus expressions --embedding-size 16 --learning-rate 1e-2 --steps 4000 --eval-every 200 \
      $(case $name in # as many parameters
        *-nary) echo --task tree --cell nary --hidden-size 32 ;; *-child-sum) echo --task tree --cell child_sum --hidden-size 64 ;;
        *) echo --task tag --hidden-size 64 ;; esac) ;;
    tag/*) train "$name" --task tag --corpus between --embedding-size 8 --learning-rate 1e-2 --steps 2000 --eval-every 200 \
      $(case $name in *-bidirectional) echo --hidden-size 16 --bidirectional ;; *) echo --hidden-size 24 ;; esac) ;; # as many parameters
    classify_text/*) text=${name#classify_text/}; train "$name" --task classify_text --corpus "${text%-*}" --cell "${text#*-}" \
      --hidden-size 16 --embedding-size 8 --learning-rate 1e-2 --steps 1000 --eval-every 100 ;;
    caption/*) text=${name#caption/}; train "$name" --task caption --corpus "${text%-*}" --embedding-size 12 --learning-rate 1e-2 \
      --steps 3000 --eval-every 300 $(case $name in # of sheep as many parameters
        *-rnn) echo --cell rnn --hidden-size 47 ;; *) echo --hidden-size 24 --forget-bias 1 ;; esac) ;;
    translate/*) text=${name#translate/}; train "$name" --task translate --corpus "${text%%-*}" --embedding-size 32 --hidden-size 64 \
      --batch-size 64 --learning-rate 3e-3 --steps 2000 --eval-every 200 $(case $name in *-bottleneck) echo --attention none ;; esac) ;;
    brackets) train "$name" --corpus brackets --hidden-size 16 --embedding-size 8 --learning-rate 1e-2 --steps 6000 ;;
    agreement) train "$name" --corpus agreement --hidden-size 24 --embedding-size 12 --learning-rate 1e-2 --bptt 32 --steps 6000 ;;
    shakespeare-char-lstm) train "$name" "${shakespeare[@]}" --hidden-size 256 --dropout 0.2 --steps 12000 ;;
    shakespeare-char-*-128) cell=${name#shakespeare-char-}; train "$name" "${shakespeare[@]}" --cell "${cell%-128}" --hidden-size 128 --steps 8000 ;;
    wikitext2-word-lstm) train "$name" --corpus "$data/wikitext-2" --level word --max-words 10000 --embedding-size 200 --hidden-size 200 \
      --num-layers 2 --dropout 0.2 --tie-weights --bptt 35 --learning-rate 3e-3 --schedule plateau --bfloat16 --steps 93200 --eval-every 1864 ;;
    *) echo "no checkpoint is called $name" >&2; exit 2 ;;
  esac
  mkdir -p "$(dirname "checkpoints/$name")"
  cp "runs/$name/best.safetensors" "checkpoints/$name.safetensors"
  cp "runs/$name/card.md" "checkpoints/$name.md"
done
