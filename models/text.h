/*
 * seqgrad text: from files and strings to padded batches of ids and back, and metrics of text.
 *
 * A tokenizer cuts a text into tokens; a vocabulary, which carries its tokenizer, numbers them; a
 * corpus holds pairs of sentences; batches hold them as ids, padded and grouped by length. For
 * language models, a corpus is one sequence of ids, and batches are subsequences of it.
 *
 * All text is UTF-8, ended by NUL; what is not valid UTF-8 is an error. Nothing here is part of a
 * graph: objects are made over a context only to report errors to it, live until their own free
 * function, and must not be used after the context is closed. A constructor never returns NULL: one
 * that fails returns an empty object that may be used and freed like any other.
 */
#ifndef SG_TEXT_H
#define SG_TEXT_H

#include "core/core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- text --------------------------------------------------------------------------------- */

/* The offset of the first byte that is not part of valid UTF-8 (no overlong forms, no surrogates),
 * or `size` if there is none. */
SG_API size_t sg_utf8_check(const char *text, size_t size);

/* Columns on a terminal: 2 for wide East Asian characters and emoji, 0 for combining marks and
 * control characters, 1 for an invalid byte. The sum over code points, as wcswidth has it. */
SG_API int sg_text_width(const char *text);

typedef enum { SG_FORM_AS_IS, SG_FORM_NFC, SG_FORM_NFKC } sg_form; /* Unicode annex 15 */
typedef enum {
    SG_CASE_KEEP,
    SG_CASE_LOWER, /* code point by code point, without context or language */
    SG_CASE_FOLD   /* full case folding: "Straße" and "STRASSE" become "strasse" */
} sg_case;

/* Writes the text, mapped, to out[size] like snprintf: cut where it does not fit, always ended by
 * NUL (unless size is 0), never in the middle of a code point. Returns the bytes of the whole
 * result without the NUL; 0 on error. */
SG_API size_t sg_text_map(sg_context *g, const char *text, sg_form form, sg_case casing,
                          size_t size, char *out);

/* ---- tokens ------------------------------------------------------------------------------- */

typedef enum { SG_UNITS_WORD, SG_UNITS_CHAR } sg_units;

typedef struct sg_tokenizer {
    sg_units units; /* words between white space, or characters, of which white space is one */
    sg_form form;   /* applied first, together with the case */
    sg_case casing;
    /* Of words: marks and symbols are tokens of their own, except ' - . between letters or digits
     * and , : between digits, as in: don't well-known e.g 3.14 1,000 10:30 */
    bool punctuation;
    bool graphemes; /* of characters: clusters as people see them, not code points */
} sg_tokenizer;

typedef struct sg_tokens {
    int count;
    const char *const *text; /* [count] */
} sg_tokens;

SG_API sg_tokens *sg_tokenize(sg_context *g, const sg_tokenizer *tokenizer, const char *text);
SG_API void sg_tokens_free(sg_tokens *t);

/* ---- vocabulary --------------------------------------------------------------------------- */

/* Ids that every vocabulary reserves. A word of a text that is spelled like one of them is
 * unknown, so that no text can smuggle in the end of a sentence. */
enum { SG_PAD, SG_UNK, SG_START, SG_STOP, SG_RESERVED };

typedef struct sg_vocabulary sg_vocabulary;

typedef struct sg_vocabulary_options {
    sg_context *g;
    int n;
    const char *const *texts; /* [n] */
    sg_tokenizer tokenizer;
    int min_count; /* what is rarer is unknown; 0 means 1 */
    int max_size;  /* of ids, the reserved ones included; 0: no limit */
    int end_;
} sg_vocabulary_options;

/* The tokens of n texts, the most frequent first, equally frequent ones in the order of their
 * bytes. sg_vocabulary_build(g, c->size, c->source, .tokenizer.units = SG_UNITS_CHAR) */
#define sg_vocabulary_build(...)                                                                   \
    sg_vocabulary_build_((sg_vocabulary_options){__VA_ARGS__, .end_ = 0})
SG_API sg_vocabulary *sg_vocabulary_build_(sg_vocabulary_options o);
SG_API void sg_vocabulary_free(sg_vocabulary *v);

SG_API int sg_vocabulary_size(const sg_vocabulary *v);
SG_API sg_tokenizer sg_vocabulary_tokenizer(const sg_vocabulary *v);
SG_API int32_t sg_vocabulary_id(const sg_vocabulary *v, const char *token); /* or SG_UNK */
/* "<pad>" "<unk>" "<start>" "<stop>" for the reserved ids; an id that does not exist is an error,
 * which returns "<unk>". */
SG_API const char *sg_vocabulary_text(const sg_vocabulary *v, int32_t id);

/* Everything the vocabulary is, tokenizer included, as one JSON text for sg_set_meta; it belongs to
 * the vocabulary. "" on error. */
SG_API const char *sg_vocabulary_json(sg_vocabulary *v);
SG_API sg_vocabulary *sg_vocabulary_parse(sg_context *g, const char *json);
/* XXH3 of tokenizer and tokens in order. */
SG_API uint64_t sg_vocabulary_hash(const sg_vocabulary *v);
/* Whether v is the vocabulary that a model was trained with; if not, an error that says where they
 * differ first. */
SG_API bool sg_vocabulary_check(sg_context *g, const sg_vocabulary *v,
                                const sg_vocabulary *trained);

/* The ids of a text's tokens, the first `max` of them into ids. Returns how many tokens the text
 * has; -1 on error. */
SG_API int sg_encode(const sg_vocabulary *v, const char *text, int max, int32_t *ids);
/* The text of n ids up to the first <stop>, without <pad> and <start>: words joined by one space,
 * but for marks that the tokenizer cut off, such as a full stop; characters by nothing. Writes and
 * returns as sg_text_map does. */
SG_API size_t sg_decode(const sg_vocabulary *v, int n, const int32_t *ids, size_t size, char *text);

/* ---- corpus ------------------------------------------------------------------------------- */

typedef struct sg_corpus {
    int size;
    /* [size] each. The pointers of target follow those of source, so source[0 .. 2 size) are the
     * texts of both: a joint vocabulary is built from 2 * size texts. */
    const char *const *source, *const *target;
} sg_corpus;

typedef struct sg_corpus_options {
    sg_context *g;
    const char *path;        /* plain or gzip, like target_path */
    const char *target_path; /* the other side, line by line; NULL: path is a TSV */
    /* Of a TSV, counted from 0. Both 0 means source 0, target 1. SG_NO_COLUMN: all targets are
     * empty, for a file of single sentences. */
    int source_column, target_column;
    bool replace_invalid; /* invalid UTF-8 becomes U+FFFD instead of an error */
    int end_;
} sg_corpus_options;
enum { SG_NO_COLUMN = -1 };

/* Lines end with LF or CRLF, the last one with or without it; a byte order mark is skipped. Empty
 * lines are skipped in a TSV of which two columns are read, elsewhere they are empty sentences.
 * sg_corpus_read(g, "zh-en.tsv.gz", .source_column = 1, .target_column = 0)
 * sg_corpus_read(g, "train.de.gz", "train.en.gz") */
#define sg_corpus_read(...) sg_corpus_read_((sg_corpus_options){__VA_ARGS__, .end_ = 0})
SG_API sg_corpus *sg_corpus_read_(sg_corpus_options o);
/* From n pairs in memory, which are copied; also a part of another corpus:
 * sg_corpus_of(g, 100, c->source, c->target). Without targets (NULL) they are empty. */
SG_API sg_corpus *sg_corpus_of(sg_context *g, int n, const char *const *source,
                               const char *const *target);
SG_API void sg_corpus_free(sg_corpus *c);

/* ---- batches ------------------------------------------------------------------------------ */

/* A corpus as ids, ready to be cut into batches. */
typedef struct sg_batches {
    int pairs;           /* that are left after the following were dropped: */
    int empty, too_long; /* sources without a token; more than max_length tokens on either side */
    int batches;         /* in an epoch */
} sg_batches;

typedef struct sg_batches_options {
    sg_context *g;
    const sg_corpus *corpus;
    const sg_vocabulary *source, *target;
    int size;         /* sentences in a batch (the last may have fewer); 0 means 32 */
    int max_length;   /* tokens, <start> and <stop> not counted; 0: no limit */
    bool source_stop; /* a <stop> at the end of the source too */
    bool in_order;    /* as in the corpus, neither shuffled nor sorted: for evaluation */
    int multiple;     /* times are padded to a multiple of it, so that shapes, and with them plans,
                         come back; 0 means 1 */
    int pool;         /* batches that are sorted by length together; 0 means 64 */
    int end_;
} sg_batches_options;

/* Copies what it needs: corpus and vocabularies may be freed afterwards.
 * sg_batches_make(g, corpus, source, target, .size = 64, .max_length = 50) */
#define sg_batches_make(...) sg_batches_make_((sg_batches_options){__VA_ARGS__, .end_ = 0})
SG_API sg_batches *sg_batches_make_(sg_batches_options o);
SG_API void sg_batches_free(sg_batches *d);

/* Sequences [batch, time] of ids, padded behind their lengths; NULL: all are full. */
typedef struct sg_source {
    const int32_t *ids;
    int time;
    const int *lengths;
} sg_source;

typedef struct sg_batch {
    /* Where the iteration stands; set by the user at the start, or again to resume. Batches depend
     * on these three and on the data, on nothing else. */
    uint64_t seed;
    int64_t epoch, next;

    int size, source_time, target_time;
    const int32_t *source;         /* [size, source_time], padded with <pad> like the targets */
    const int32_t *source_lengths; /* [size] */
    const int32_t *target_in;      /* [size, target_time]: <start> w1 ... wn */
    const int32_t *target_out;     /* [size, target_time]: w1 ... wn <stop> */
    const int32_t *target_lengths; /* [size], n + 1 */
    const int32_t *index;          /* [size], of each pair in the corpus */
    int64_t tokens;                /* sum of target_lengths: what a mean loss is divided by */
    const sg_source *more;         /* yours: for models of several sources, those beside `source` */
} sg_batch;

/* Fills in the next batch; its arrays belong to the batches and last until the next call. At the
 * end of an epoch it returns false, and b stands at the start of the next one:
 *     sg_batch b = {.seed = 1};
 *     while (b.epoch < 10)
 *         while (sg_batch_next(d, &b))
 *             ...
 * An epoch shuffles all pairs, sorts each pool of them by lengths, and shuffles the batches. */
SG_API bool sg_batch_next(sg_batches *d, sg_batch *b);

/* ---- subsequences ------------------------------------------------------------------------- */

/* A text as ids, one after the other. A part of one is a sequence, too, which is not freed:
 * (sg_sequence){.count = 1001, .ids = s->ids + 500} */
typedef struct sg_sequence {
    int64_t count;
    const int32_t *ids; /* [count] */
} sg_sequence;

/* The sources of a corpus: <stop>, then each of them with a <stop> at its end, as where a line
 * ends. All tokens but the first are to be predicted. */
SG_API sg_sequence *sg_sequence_of(sg_context *g, const sg_corpus *c, const sg_vocabulary *v);
SG_API void sg_sequence_free(sg_sequence *s);

/* What is learnt from at once of a sequence that is too long for that: as many subsequences as a
 * batch has rows.
 * Sequential: the sequence is cut into that many rows, and the subsequences of a row follow each
 * other. The state at the end of one, kept as a number, is the beginning of the next: sg_carry
 * (truncated backpropagation through time, Williams & Peng 1990; rows as in Zaremba et al. 2014).
 * What is left of the sequence, fewer tokens than rows, is not used.
 * Random: from an offset that each epoch has of its own, the sequence is cut into pieces, which are
 * shuffled. What is before the offset, or fills no piece or no batch, waits for another epoch. */
typedef struct sg_subsequences {
    int64_t batches; /* in an epoch */
} sg_subsequences;

typedef struct sg_subsequences_options {
    sg_context *g;
    const sg_sequence *sequence;
    int rows, time; /* of a batch, both needed */
    bool random;
    int end_;
} sg_subsequences_options;

/* Borrows the sequence's ids: they must live as long. A sequence too short for one batch is an
 * error: sequential rows need a token to predict each, random ones (rows + 1) * time - 1 in all.
 * sg_subsequences_make(g, text, 20, 35, .random = true) */
#define sg_subsequences_make(...)                                                                  \
    sg_subsequences_make_((sg_subsequences_options){__VA_ARGS__, .end_ = 0})
SG_API sg_subsequences *sg_subsequences_make_(sg_subsequences_options o);
SG_API void sg_subsequences_free(sg_subsequences *d);

typedef struct sg_subsequence {
    uint64_t seed; /* where the iteration stands, as in sg_batch */
    int64_t epoch, next;

    int rows, time;          /* time is less at the end of sequential rows */
    bool first;              /* from a state of zeros, not from the last one's: always if random */
    const int32_t *in, *out; /* [rows, time]: tokens, and after each the one to be predicted */
    int64_t tokens;          /* rows * time: what a mean loss is divided by */
} sg_subsequence;

/* Fills in the next batch, and ends an epoch, as sg_batch_next does. */
SG_API bool sg_subsequence_next(sg_subsequences *d, sg_subsequence *b);

/* ---- word vectors --------------------------------------------------------------------------- */

/* GloVe: lines of a word and its numbers. word2vec: the same after a line "count size"; binary:
 * after that line, each word, a space, its numbers as little-endian f32, and perhaps a LF. */
typedef enum { SG_GLOVE, SG_WORD2VEC, SG_WORD2VEC_BINARY } sg_vectors_format;

typedef struct sg_vectors {
    int count, size;
    const char *const *words; /* [count], each once */
    const float *values;      /* [count, size], finite */
} sg_vectors;

/* Plain or gzip. Whatever is not as the format says is an error that names the line or the word. */
SG_API sg_vectors *sg_vectors_read(sg_context *g, const char *path, sg_vectors_format format);
SG_API void sg_vectors_free(sg_vectors *v);
/* Sets the rows of a table [vocabulary, size], f32 or f64, that belong to words of the file; the
 * others stay as they are. Returns how many were set; -1 on error. To keep them: sg_freeze. */
SG_API int sg_vectors_fill(const sg_vectors *v, const sg_vocabulary *vocabulary, sg_tensor *table);

/* ---- metrics ------------------------------------------------------------------------------ */

/* Tokens as sacrebleu makes them under these names: mteval-v13a; Chinese characters apart, the
 * rest like 13a; code points; what white space separates. */
typedef enum { SG_BLEU_13A, SG_BLEU_ZH, SG_BLEU_CHAR, SG_BLEU_NONE } sg_bleu_tokens;
enum { SG_BLEU_ORDER = 4 };

/* Counts for corpus BLEU (Papineni et al. 2002) with one reference a sentence; starts as
 * {.tokens = SG_BLEU_ZH}, or {0} for 13a. */
typedef struct sg_bleu {
    sg_bleu_tokens tokens;
    int64_t hypothesis, reference;                        /* lengths in tokens */
    int64_t correct[SG_BLEU_ORDER], total[SG_BLEU_ORDER]; /* n-grams of order 1 ... 4 */
} sg_bleu;

typedef struct sg_bleu_result {
    double score; /* 0 ... 100 */
    double brevity;
    double precision[SG_BLEU_ORDER]; /* percent, smoothed */
} sg_bleu_result;

/* Adds a sentence; false on error, which leaves the counts as they were. */
SG_API bool sg_bleu_add(sg_context *g, sg_bleu *b, const char *hypothesis, const char *reference);
/* Equal to sacrebleu's default: cased, exponential smoothing, all four orders. */
SG_API sg_bleu_result sg_bleu_score(const sg_bleu *b);

typedef struct sg_exact {
    int64_t equal, count;
} sg_exact;
SG_API void sg_exact_add(sg_exact *e, const char *hypothesis, const char *reference);
SG_API double sg_exact_percent(const sg_exact *e); /* NaN of nothing */

/* Sum of negative log likelihoods (nats) over real tokens, padding not among them. */
typedef struct sg_nll {
    double sum;
    int64_t tokens;
} sg_nll;
SG_API void sg_nll_add(sg_nll *n, double sum, int64_t tokens);
SG_API double sg_perplexity(const sg_nll *n);     /* exp(sum / tokens); NaN of nothing */
SG_API double sg_bits_per_token(const sg_nll *n); /* sum / tokens / ln 2; NaN of nothing */

#ifdef __cplusplus
}
#endif

#endif
