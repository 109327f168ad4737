# make demo   sets up, annotates the article in seeds/, trains on the shipped corpus and evaluates on held-out articles
# make report writes report.html: how the model that ships does on the shipped articles that it never saw
# make test   sets up and runs linters, the type checker and every test
# make model  trains the models that ship, make teacher the one that teaches the default first (both need the joined corpora:
#             see data/corpus/DATASHEET.md; and articles without labels, of which benchmarks/unlabelled.py chooses)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORPORA ?= corpora
TEACHER ?= teacher
STUDENT ?= student
ENCODERS ?= sentence-transformers
DEV = $(foreach n,newswire world,--dev $(CORPORA)/$(n)-dev.jsonl)
LABELLED = authored $(foreach n,newswire world general,$(CORPORA)/$(n)-train.jsonl)
NEAREST = $(CORPORA)/nearest-train.jsonl
MORE = $(foreach n,further later,$(CORPORA)/$(n)-train.jsonl) $(NEAREST)
FINE_TUNE = $(DEV) --recipe fine-tune --validation $(CORPORA)/further-validation.jsonl
.PHONY: demo report test teacher model clean

demo: $(VENV)/.train
	@echo && echo "1. The article in seeds/, by the model that ships:" && echo
	@$(BIN)/nutgraf predict --table seeds/*.txt
	@rm -rf demo-model
	@echo "2. A tagger trained on the shipped corpus, on articles of it that were held out:" && echo
	@$(BIN)/nutgraf train authored --held-out 0.2 --out demo-model
	@echo
	@echo "That was the shipped corpus: invented articles, a little more polished than the news, and few."
	@echo
	@echo "3. What the same recipe gives on real articles that it never saw, trained on real ones too (--model linear):" && echo
	@$(BIN)/nutgraf model show linear
	@echo
	@awk -F'|' '/^\| authored \| linear/ {print "Trained on the shipped corpus alone, on those real articles: macro-F1" $$4 ", accuracy" $$5}' \
	  benchmarks/RESULTS.md
	@echo
	@echo "4. The model that ships, an encoder, on the same real articles:" && echo
	@$(BIN)/nutgraf model show default | grep -E '^(macro-F1|accuracy) '
	@echo
	@echo "Those real articles chose between variants of the recipe. All labels are one language model's judgement under"
	@echo "data/corpus/GUIDELINES.md, not people's. More: benchmarks/RESULTS.md"

report: $(VENV)/.train
	$(BIN)/nutgraf evaluate default authored-held-out --report report.html --force

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

teacher: $(VENV)/.encoder
	$(BIN)/nutgraf train $(LABELLED) $(DEV) --recipe encoder-base --encoder $(ENCODERS)/all-mpnet-base-v2 --out $(TEACHER)

$(CORPORA)/unlabelled.jsonl: | $(VENV)/.encoder
	$(BIN)/python -m benchmarks.unlabelled --corpora $(CORPORA)

model: $(VENV)/.encoder $(CORPORA)/unlabelled.jsonl
	$(BIN)/nutgraf train $(LABELLED) $(DEV) --about training/cards/linear.md --force --out model/nutgraf/models/linear
	$(BIN)/nutgraf train $(LABELLED) $(DEV) --recipe distil --encoder $(ENCODERS)/all-MiniLM-L6-v2 \
	  --teacher $(TEACHER) --unlabelled $(CORPORA)/unlabelled.jsonl --out $(STUDENT)
	$(BIN)/nutgraf train $(NEAREST) $(FINE_TUNE) --encoder $(STUDENT) --out $(STUDENT)-nearest
	$(BIN)/nutgraf train $(LABELLED) $(MORE) $(FINE_TUNE) --encoder $(STUDENT)-nearest \
	  --about training/cards/encoder.md --force --out model/nutgraf/models/encoder

# The constraints keep everyone on the versions that were tested.
$(VENV)/.%: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) demo-model report.html report.md report.json dist build
