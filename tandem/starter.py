"""What `tandem init` writes: a commented configuration and a tiny set of documents."""

from typing import Final

DOMAIN: Final = "example"

CONFIGURATION: Final = """\
# Configuration of Tandem. Only base_model and one domain are required; what is commented out shows
# the default. Paths are relative to this file.

base_model: {base_model}  # a folder, or a hub id such as Qwen/Qwen3-4B-Instruct-2507

domains:
  example:                      # the name: a-z, 0-9 and -; asked for as example/rag
    documents: documents/       # files or folders: text, Markdown, HTML, PDF, DOCX
    # document_rules: []        # such as {{path: hr/**, allow: [hr], licence: internal}}; the last that matches wins
    # examples: train.jsonl     # training rows
    # questions: questions.jsonl  # validation and test questions
    # system_prompt: Answer briefly.
    # permissions: []           # of source, licence, basis: what each training row has to name
    # task: answers             # or classification, extraction, summarisation, translation
    # labels: []                # of classification; empty takes those of the examples
    # json_schema: null         # of extraction: a file

# embedder: default             # the MiniLM that is installed with the package; or a folder or a hub id
# database: sqlite              # in the workspace; or postgresql+psycopg://user:password@host/name

# engine:
#   url: null                   # null starts a vLLM server here; or the address of one that runs
#   dtype: auto                 # auto, float32, bfloat16 or float16
#   max_model_len: null         # tokens of prompt and answer; null takes the model's own limit
#   kv_cache_bytes: 300000000   # memory that bounds the requests in flight
#   max_num_seqs: 16            # requests that are worked on at once
#   max_queued: 64              # requests that may wait; further ones are answered 503
#   startup_timeout_seconds: 300
#   request_timeout_seconds: 120
#   max_adapters: 4             # that may answer at the same time; 0 serves the base model only
#   max_adapters_in_memory: 16  # that the engine keeps at hand
#   max_adapter_rank: null      # memory and work grow with it; null takes the rank of training
#   start_method: auto          # how vLLM makes its processes: auto, fork or spawn
#   extra_args: []              # passed on to vLLM

# retrieval:
#   store: faiss                # or milvus: see docs/scaling-retrieval.md
#   milvus_address: null        # of a cluster, such as http://127.0.0.1:19530; null embeds Milvus Lite
#   vector_index: auto          # flat is exact; sq8 and ivf for more than 200,000 passages
#   allow_urls: []              # how addresses begin that `.urls` lists among the documents may name
#   keep_snapshots: 10          # older states that can still be searched
#   k: 4                        # passages that the model reads
#   passage_tokens: 96          # size of a passage, in the embedder's tokens
#   overlap_tokens: 16          # tokens that neighbouring passages share
#   depth: 100                  # candidates of each search before they are fused
#   rrf_k: 60                   # reciprocal rank fusion: higher flattens the ranks
#   dense_weight: 1.0           # search by meaning
#   lexical_weight: 1.0         # search by words
#   languages: {{}}               # weights by the question's language: es: {{lexical_weight: 2}}; "*": all others
#   embedder_languages: null    # what the embedder reads, such as [en, es]; null: English for the built-in one
#   lexical_language: en        # as which words are stemmed; auto: as the document's and question's own language
#   min_similarity: null        # least cosine of a passage to the question; null takes the best however far
#   collapse: null              # cosine from which two passages are the same, such as 0.97; null keeps all
#   neighbours: 0               # passages before and after each hit whose text is given with it
#   reranker: null              # a cross-encoder, by folder or hub id, that orders the best anew
#   rerank_depth: 32            # how many it reads

# training:
#   preset: null                # start-small, balanced or thorough; what is written beside it wins
#   rank: 16                    # of the adapter's matrices: 1, 8, 16, 32, 64 ...
#   alpha: 32                   # its output is multiplied by alpha / rank
#   targets: null               # such as [q_proj, v_proj]; null adapts all linear matrices of the layers
#   rslora: false               # alpha / root of rank instead: for high ranks
#   quantisation: null          # nf4: the base model in 4 bits while training (QLoRA), on NVIDIA GPUs
#   gradient_checkpointing: false  # less memory, about a third more time
#   dropout: 0.0
#   learning_rate: 0.001
#   batch_size: 8               # examples of one step
#   epochs: 6                   # at most: training stops when the watched loss no longer falls
#   patience: 2                 # evaluations without a better loss after which it stops
#   validation_share: 0.1       # of the examples, by document
#   wordings: null              # rows that ask for the same fact, at most
#   test_share: 0.0             # of a task's examples, for its test questions
#   distractors: 3              # passages beside the right one, for adapters that read
#   without_right_passage: 0.2  # share of their rows whose answer is the abstention
#   quotes: false               # answers from passages begin with the sentence that holds their value, quoted
#   reading_share: 0.5          # share of a mixed adapter's rows that show passages
#   block_tokens: 256           # length of the blocks of text of `--kind documents`
#   replay: 0.2                 # share of the parent's rows that `tandem train --parent` mixes in
#   seed: 20261122
#   checkpoint_seconds: 30      # between checkpoints within an epoch: what a kill can cost
#   cleaning: {{}}                # steps to switch, such as near_duplicates: false
#   languages:
#     detect: true
#     allowed: null             # such as [en, de]: examples in others leave; null takes all
#   drafts: true                # examples drafted by a program that a person accepted are among the others
#   stratify: true              # abstentions, languages and labels in validation as in training
#   remove_leaks: []            # of exact, near, overlap: examples like a question of the evaluation
#   dominance: 0.5              # share above which one language, group, document or label is warned of
#   balance:                    # rare ones are seen more often in training
#     by: null                  # language, label or group
#     temperature: 5            # shares become counts ** (1 / temperature); 1 changes nothing
#     repeats: 10               # times an example is seen in an epoch, at most
#   search:                     # what `tandem train --search` tries out
#     trials: 20                # trainings, pruned ones among them
#     space: {{}}                 # such as learning_rate: {{low: 0.0005, high: 0.005, log: true}}, rank: [8, 16, 32]
#     pruning: true             # end trials early that are worse than the median
#   closed_book: {{}}             # what is different for adapters that answer from memory
#   reading: {{}}                 # and for those that answer from passages
#   mixed: {{}}                   # and for those that do both
#   documents: {{}}               # and for those that go on with pretraining
#   multi_task: {{}}              # and for those of several domains' tasks
#   anonymise:                  # personal data in the examples
#     mode: off                 # off, mask or pseudonym
#     kinds: [name, address, email, phone, card, iban, ip, id]
#     phone_regions: [US, GB]   # whose numbers are found without a leading +
#     words: []                 # further words to replace
#     patterns: []              # and regular expressions
#     allow: []                 # what is meant to be public; * stands for anything

# serving:
#   max_body_bytes: 10000000
#   max_answer_tokens: 96       # when the client names none
#   max_concurrent: 64
#   store_texts: false          # whether questions and answers are kept in the database
#   temperature: 0.0            # when the client names none
"""

DOCUMENTS: Final = {
    "opening-hours.md": """\
# Opening hours of the library

The library opens at 9:30 from Monday to Friday and at 11:00 on Saturday.
It closes at 18:00. On Sunday it stays closed.
""",
    "lending.md": """\
# Borrowing books

A reader may borrow up to six books at a time. A book may be kept for 21 days.
A book that nobody has reserved can be renewed twice.
The fee for a late book is 20 cents a day.
""",
    "rooms.md": """\
# Reading rooms

The quiet room is on the second floor and has 24 desks.
The group room must be booked one day ahead at the front desk.
""",
}
