#ifndef CTOML_H
#define CTOML_H

/** @file ctoml.h
 *  @brief A TOML 1.0 parser that never throws, aborts or overflows the stack, and that knows where everything stood.
 *
 *  A document is parsed in one call into a flat array of nodes. Every function is safe to call with any bytes: what is
 *  wrong with them comes back as a code. Nothing here does I/O or keeps global state; different documents may be used
 *  by different threads, and one document by several as long as none of them frees it.
 *
 *  Positions are counted from 1. Lines end at LF. Columns count Unicode code points, not bytes and not what a terminal
 *  shows: a tab is one column, and so is each CR. A byte order mark at the start of the file is skipped and has no
 *  column.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define CTOML_NOEXCEPT noexcept
extern "C" {
#else
#define CTOML_NOEXCEPT
#endif

/** @brief Return codes of ctoml_parse(). */
enum {
    /** The document is there. */
    CTOML_OK = 0,
    /** The bytes are not TOML 1.0: the error has the position and the reason. Invalid UTF-8, NUL bytes, integers that
     *  do not fit 64 bits, keys given twice and bytes after a value are all of this kind. */
    CTOML_SYNTAX = 1,
    /** There are more than #CTOML_MAX_BYTES bytes; none of them was looked at. The position is 1:1. */
    CTOML_TOO_LARGE = 2,
    /** Values, tables or the parts of one dotted key are nested too deeply: see #CTOML_MAX_DEPTH. The position is that
     *  of the first thing too deep. */
    CTOML_TOO_DEEP = 3,
    /** There are more than #CTOML_MAX_TABLES table headers and dotted keys. The position is that of the first one too
     *  many. */
    CTOML_TOO_MANY_TABLES = 4,
    /** Memory ran out. The position is 1:1. */
    CTOML_NO_MEMORY = 5,
    /** The parser below failed in a way it does not document. The position is 1:1. */
    CTOML_INTERNAL = 6
};

/** @brief The most bytes a document may have. */
#define CTOML_MAX_BYTES (1024 * 1024)

/** @brief The most nodes from the root to any node, the root not counted. Arrays and tables count one each, however
 *  they are written: `[a.b]` and `a.b.c = 1` nest as deeply as `{ a = { b = { c = 1 } } }` does. Code that walks a
 *  document by recursion needs no bound of its own. */
#define CTOML_MAX_DEPTH 32

/** @brief The most `[` and `.` outside strings and comments. The parser below searches its list of tables from end to
 *  end; without this bound a 1 MiB file takes seconds. */
#define CTOML_MAX_TABLES 16384

/** @brief The type of a node. */
typedef enum {
    CTOML_TABLE,
    CTOML_ARRAY,
    CTOML_STRING,
    CTOML_INTEGER,
    CTOML_FLOAT,
    CTOML_BOOLEAN,
    /** A date, a time, or both. */
    CTOML_DATE
} ctoml_type;

/** @brief Where something stands; the end is the position after its last code point. */
typedef struct {
    uint32_t line;
    uint32_t column;
    uint32_t end_line;
    uint32_t end_column;
} ctoml_region;

/** @brief One value with its key.
 *
 *  Strings are UTF-8, may hold NUL bytes, and do not end with one: use the lengths. They live as long as the document.
 */
typedef struct {
    ctoml_type type;
    /** Index of the first node after this one and everything in it. The children of a table or an array are the nodes
     *  at this node's index + 1, then at that one's `next`, and so on until this node's `next`. */
    uint32_t next;
    /** The key, without quotes and dots; NULL for the root and for elements of an array. */
    const char *key;
    size_t key_length;
    /** Where the key, or this part of a dotted key, was first written; all zeros if there is no key. */
    ctoml_region key_region;
    /** Where the value stands. For a table this is its header, or the dotted key that brought it about. */
    ctoml_region region;
    /** #CTOML_STRING: the value. #CTOML_DATE: the value in RFC 3339 form. Else NULL. */
    const char *text;
    size_t text_length;
    /** #CTOML_INTEGER: the value. #CTOML_BOOLEAN: 0 or 1. Else 0. */
    int64_t integer;
    /** #CTOML_FLOAT: the value, which may be infinite or not a number. Else 0. */
    double floating;
} ctoml_node;

/** @brief Why a document could not be had. */
typedef struct {
    uint32_t line;
    uint32_t column;
    /** What was wrong, in English, UTF-8 that may be cut within a character, ended by a NUL. */
    char message[512];
} ctoml_error;

typedef struct ctoml_document ctoml_document;

/** @brief Parses `length` bytes.
 *
 *  @param[in] bytes the file as it is; may be NULL if `length` is 0. Not kept.
 *  @param[out] document on #CTOML_OK the document, which the caller owns and frees with ctoml_free(); else NULL.
 *  @param[out] error filled in on any code but #CTOML_OK, else untouched. Must not be NULL.
 *  @return one of the codes above.
 */
int ctoml_parse(const char *bytes, size_t length, ctoml_document **document, ctoml_error *error) CTOML_NOEXCEPT;

/** @brief The nodes of a document in the order parent before child; the first is the root table. Entries of a table are
 *  in the byte order of their keys, elements of an array in that of the file.
 *
 *  @param[out] count how many there are, at least 1.
 *  @return the nodes, valid until ctoml_free().
 */
const ctoml_node *ctoml_nodes(const ctoml_document *document, size_t *count) CTOML_NOEXCEPT;

/** @brief Frees a document; NULL is allowed. Every pointer got from it is invalid afterwards. */
void ctoml_free(ctoml_document *document) CTOML_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
