/*
 * Says whether a file is what `make macos` promises: a Mach-O executable for
 * arm64 macOS 13.0 that loads libSystem alone and whose ad-hoc code signature
 * holds for every page. One line: what it found, or what is wrong (status 1).
 * Sources: <mach-o/loader.h>, <mach-o/nlist.h> and xnu's
 * osfmk/kern/cs_blobs.h, names as there.
 */
#include "base/file.h"
#include "base/sha256.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MH_MAGIC_64 = (int)0xfeedfacf,
    CPU_TYPE_ARM64 = 0x0100000c,
    MH_EXECUTE = 2,
    MH_TWOLEVEL = 0x80,
    MH_PIE = 0x200000,
    HEADER_BYTES = 32,
    LC_SYMTAB = 0x2,
    LC_LOAD_DYLIB = 0xc,
    LC_LOAD_DYLINKER = 0xe,
    LC_SEGMENT_64 = 0x19,
    LC_CODE_SIGNATURE = 0x1d,
    LC_LAZY_LOAD_DYLIB = 0x20,
    LC_BUILD_VERSION = 0x32,
    LC_LOAD_WEAK_DYLIB = (int)0x80000018,
    LC_RPATH = (int)0x8000001c,
    LC_REEXPORT_DYLIB = (int)0x8000001f,
    LC_LOAD_UPWARD_DYLIB = (int)0x80000023,
    LC_MAIN = (int)0x80000028,
    PLATFORM_MACOS = 1,
    MACOS_13_0 = 0x000d0000,
    NLIST_BYTES = 16,
    N_STAB = 0xe0,
    N_TYPE = 0x0e,
    N_EXT = 0x01,
    CSMAGIC_EMBEDDED_SIGNATURE = (int)0xfade0cc0,
    CSMAGIC_CODEDIRECTORY = (int)0xfade0c02,
    CSSLOT_CODEDIRECTORY = 0,
    CS_SUPPORTSEXECSEG = 0x20400,
    CODE_DIRECTORY_BYTES = 88, /* of that version */
    CS_ADHOC = 2,
    CS_EXECSEG_MAIN_BINARY = 1,
    CS_HASHTYPE_SHA256 = 2
};

typedef struct part {
    const unsigned char *data;
    uint64_t size;
} part;

typedef struct macho {
    part file;
    uint64_t n_build, n_main, n_libraries, n_imports, n_pages, page_bytes;
    part symtab, signature;          /* their load commands, or size 0 */
    uint64_t text_offset, text_size; /* of __TEXT in the file */
    uint64_t link_end;               /* where __LINKEDIT ends in it */
} macho;

/* Beyond its end a part reads as zeros; so each count and offset that comes
 * from the file is checked where it is used. */
static uint64_t little(part p, uint64_t at, int bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        if (at < p.size && (uint64_t)i < p.size - at)
            x |= (uint64_t)p.data[at + (uint64_t)i] << (8 * i);
    return x;
}

static uint32_t u32(part p, uint64_t at)
{
    return (uint32_t)little(p, at, 4);
}

static uint64_t big(part p, uint64_t at, int bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        x = x << 8 | little(p, at + (uint64_t)i, 1);
    return x;
}

static bool holds(part p, uint64_t at, uint64_t size)
{
    return at <= p.size && size <= p.size - at;
}

static part within(part p, uint64_t at, uint64_t size)
{
    return (part){p.data + at, size};
}

/* The string at `at`, or "" when it does not end inside. */
static const char *text(part p, uint64_t at)
{
    if (at >= p.size || !memchr(p.data + at, 0, (size_t)(p.size - at)))
        return "";
    return (const char *)p.data + at;
}

static an_status header(const macho *m, an_error *err)
{
    part f = m->file;
    uint32_t flags = u32(f, 24);
    if (u32(f, 0) != (uint32_t)MH_MAGIC_64 || u32(f, 4) != CPU_TYPE_ARM64 ||
        u32(f, 12) != MH_EXECUTE)
        return an_fail(err, AN_EFORMAT, "not a Mach-O executable for arm64");
    if (!(flags & MH_TWOLEVEL) || !(flags & MH_PIE))
        return an_fail(err, AN_EFORMAT,
                       "flags 0x%" PRIx32 ", expected PIE and TWOLEVEL", flags);
    if (!holds(f, HEADER_BYTES, u32(f, 20)))
        return an_fail(err, AN_EFORMAT, "load commands end beyond the file");
    return AN_OK;
}

static an_status library(macho *m, part command, an_error *err)
{
    const char *name = text(command, u32(command, 8));
    m->n_libraries++;
    if (strcmp(name, "/usr/lib/libSystem.B.dylib") != 0)
        return an_fail(err, AN_EFORMAT, "loads '%s', expected libSystem alone",
                       name);
    return AN_OK;
}

static an_status segment(macho *m, part command, an_error *err)
{
    uint64_t offset = little(command, 40, 8), size = little(command, 48, 8);
    if (!holds(m->file, offset, size))
        return an_fail(err, AN_EFORMAT, "a segment ends beyond the file");
    if (holds(command, 8, 16) && !memcmp(command.data + 8, "__TEXT", 7)) {
        m->text_offset = offset;
        m->text_size = size;
    }
    if (holds(command, 8, 16) && !memcmp(command.data + 8, "__LINKEDIT", 11))
        m->link_end = offset + size;
    return AN_OK;
}

static an_status build_version(macho *m, part command, an_error *err)
{
    uint32_t platform = u32(command, 8), least = u32(command, 12);
    m->n_build++;
    if (platform != PLATFORM_MACOS || least != MACOS_13_0)
        return an_fail(err, AN_EFORMAT,
                       "platform %" PRIu32 " from 0x%" PRIx32
                       " on, expected macOS (1) from 13.0 (0xd0000) on",
                       platform, least);
    return AN_OK;
}

static an_status command_of(macho *m, uint32_t kind, part command,
                            an_error *err)
{
    switch ((int)kind) {
    case LC_SEGMENT_64:
        return segment(m, command, err);
    case LC_BUILD_VERSION:
        return build_version(m, command, err);
    case LC_LOAD_DYLIB:
    case LC_LOAD_WEAK_DYLIB:
    case LC_REEXPORT_DYLIB:
    case LC_LAZY_LOAD_DYLIB:
    case LC_LOAD_UPWARD_DYLIB:
        return library(m, command, err);
    case LC_RPATH:
        return an_fail(err, AN_EFORMAT, "has an LC_RPATH");
    case LC_LOAD_DYLINKER:
        if (strcmp(text(command, u32(command, 8)), "/usr/lib/dyld") == 0)
            return AN_OK;
        return an_fail(err, AN_EFORMAT, "is loaded by another than dyld");
    case LC_MAIN:
        m->n_main++;
        return AN_OK;
    case LC_SYMTAB:
        m->symtab = command;
        return AN_OK;
    case LC_CODE_SIGNATURE:
        m->signature = command;
        return AN_OK;
    default:
        return AN_OK;
    }
}

static an_status commands(macho *m, an_error *err)
{
    uint32_t count = u32(m->file, 16);
    uint64_t at = HEADER_BYTES, end = HEADER_BYTES + u32(m->file, 20);
    an_status s;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t kind = u32(m->file, at), size = u32(m->file, at + 4);
        if (at + 8 > end || size < 8 || size > end - at)
            return an_fail(err, AN_EFORMAT,
                           "load command %" PRIu32 " of %" PRIu32
                           " has %" PRIu32 " bytes at %" PRIu64,
                           i, count, size, at);
        if ((s = command_of(m, kind, within(m->file, at, size), err))) return s;
        at += size;
    }
    if (m->n_libraries != 1 || m->n_build != 1 || m->n_main != 1 ||
        m->symtab.size == 0 || m->signature.size == 0 || m->text_size == 0)
        return an_fail(err, AN_EFORMAT,
                       "expected one library, build version, entry, symbol "
                       "table, code signature and __TEXT");
    return AN_OK;
}

/* Every undefined symbol is looked for in the first library. */
static an_status imports(macho *m, an_error *err)
{
    uint64_t at = u32(m->symtab, 8), count = u32(m->symtab, 12);
    uint64_t names_at = u32(m->symtab, 16), names_size = u32(m->symtab, 20);
    if (!holds(m->file, at, count * NLIST_BYTES) ||
        !holds(m->file, names_at, names_size))
        return an_fail(err, AN_EFORMAT, "the symbols end beyond the file");
    part names = within(m->file, names_at, names_size);
    for (uint64_t i = 0; i < count; i++, at += NLIST_BYTES) {
        uint64_t type = little(m->file, at + 4, 1);
        uint64_t ordinal = little(m->file, at + 7, 1);
        if ((type & N_STAB) || (type & N_TYPE) || !(type & N_EXT)) continue;
        m->n_imports++;
        if (ordinal != 1)
            return an_fail(err, AN_EFORMAT,
                           "imports '%s' from library %" PRIu64 ", expected 1",
                           text(names, u32(m->file, at)), ordinal);
    }
    return AN_OK;
}

static an_status directory_fields(const macho *m, part d, an_error *err)
{
    if (u32(m->signature, 8) != big(d, 32, 4))
        return an_fail(err, AN_EFORMAT,
                       "signs %" PRIu64 " bytes, expected all %" PRIu32
                       " before the signature",
                       big(d, 32, 4), u32(m->signature, 8));
    if (big(d, 8, 4) < CS_SUPPORTSEXECSEG || !(big(d, 12, 4) & CS_ADHOC) ||
        big(d, 36, 1) != AN_SHA256_BYTES || big(d, 37, 1) != CS_HASHTYPE_SHA256)
        return an_fail(err, AN_EFORMAT,
                       "expected an ad-hoc signature by SHA-256 of version "
                       "0x20400 or later");
    if (big(d, 64, 8) != m->text_offset || big(d, 72, 8) != m->text_size ||
        !(big(d, 80, 8) & CS_EXECSEG_MAIN_BINARY))
        return an_fail(err, AN_EFORMAT,
                       "the signature's executable segment is not __TEXT");
    return AN_OK;
}

static an_status page_hashes(macho *m, part d, an_error *err)
{
    uint64_t hashes = big(d, 16, 4), count = big(d, 28, 4);
    uint64_t limit = big(d, 32, 4), shift = big(d, 39, 1);
    if (shift != 12 && shift != 14)
        return an_fail(err, AN_EFORMAT,
                       "pages of 2^%" PRIu64 " bytes, expected 4 or 16 KB",
                       shift);
    m->page_bytes = UINT64_C(1) << shift;
    m->n_pages = (limit + m->page_bytes - 1) / m->page_bytes;
    if (count != m->n_pages || !holds(d, hashes, count * AN_SHA256_BYTES))
        return an_fail(err, AN_EFORMAT,
                       "%" PRIu64 " page hashes, expected %" PRIu64, count,
                       m->n_pages);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from = i * m->page_bytes, left = limit - from;
        unsigned char hash[AN_SHA256_BYTES];
        an_sha256 sha;
        an_sha256_init(&sha);
        an_sha256_put(&sha, m->file.data + from,
                      (size_t)(left < m->page_bytes ? left : m->page_bytes));
        an_sha256_end(&sha, hash);
        if (memcmp(hash, d.data + hashes + i * sizeof hash, sizeof hash) != 0)
            return an_fail(err, AN_EFORMAT,
                           "page %" PRIu64 " (bytes from %" PRIu64
                           " on) is not what was signed",
                           i, from);
    }
    return AN_OK;
}

static an_status code_directory(macho *m, part blobs, an_error *err)
{
    uint64_t count = big(blobs, 8, 4);
    if (big(blobs, 0, 4) != (uint32_t)CSMAGIC_EMBEDDED_SIGNATURE ||
        big(blobs, 4, 4) > blobs.size || !holds(blobs, 12, count * 8))
        return an_fail(err, AN_EFORMAT, "the signature is no list of blobs");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = big(blobs, 16 + i * 8, 4);
        if (big(blobs, 12 + i * 8, 4) != CSSLOT_CODEDIRECTORY) continue;
        uint64_t size = big(blobs, at + 4, 4);
        if (big(blobs, at, 4) != (uint32_t)CSMAGIC_CODEDIRECTORY ||
            size < CODE_DIRECTORY_BYTES || !holds(blobs, at, size))
            return an_fail(err, AN_EFORMAT, "the code directory is damaged");
        part d = within(blobs, at, size);
        an_status s = directory_fields(m, d, err);
        return s ? s : page_hashes(m, d, err);
    }
    return an_fail(err, AN_EFORMAT, "the signature has no code directory");
}

static an_status signature(macho *m, an_error *err)
{
    uint64_t at = u32(m->signature, 8), size = u32(m->signature, 12);
    if (!holds(m->file, at, size) || at + size != m->file.size ||
        m->link_end != m->file.size)
        return an_fail(err, AN_EFORMAT,
                       "__LINKEDIT and the signature end elsewhere than the "
                       "file");
    return code_directory(m, within(m->file, at, size), err);
}

static an_status check(macho *m, an_error *err)
{
    an_status s;
    if ((s = header(m, err)) || (s = commands(m, err)) || (s = imports(m, err)))
        return s;
    return signature(m, err);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: macho FILE\n");
        return 2;
    }
    an_error err = {0};
    an_map map;
    if (an_map_open(argv[1], &map, &err)) {
        fprintf(stderr, "macho: %s\n", err.text);
        return 1;
    }
    macho m = {.file = {map.data, map.size}};
    an_status s = check(&m, &err);
    an_map_close(&map);
    if (s) {
        fprintf(stderr, "macho: %s: %s\n", argv[1], err.text);
        return 1;
    }
    printf("%s: arm64, macOS 13.0, loads /usr/lib/libSystem.B.dylib alone, "
           "%" PRIu64 " imports, %" PRIu64 " pages of %" PRIu64
           " bytes as signed\n",
           argv[1], m.n_imports, m.n_pages, m.page_bytes);
    return 0;
}
