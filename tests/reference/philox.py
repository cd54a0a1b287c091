"""Philox 4x32-10 in Python, for the numbers in tests/unit/test_base.c. Checked
against the known answers of Random123 1.14 (tests/kat_vectors)."""

M, MASK = (0xD2511F53, 0xCD9E8D57), 0xFFFFFFFF


def philox(counter, key):
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = M[0] * x[0], M[1] * x[2]
        x = [b >> 32 ^ x[1] ^ k[0], b & MASK, a >> 32 ^ x[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return x


def number(seed, stream, counter):
    block = counter >> 1
    x = philox((block & MASK, block >> 32, stream & MASK, stream >> 32), (seed & MASK, seed >> 32))
    half = 2 * (counter & 1)
    return x[half] | x[half + 1] << 32


assert philox((0,) * 4, (0,) * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox((MASK,) * 4, (MASK,) * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
assert philox(
    (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
for counter in (0x123456789ABCDEF0, 0x123456789ABCDEF1):
    print(hex(number(0x299F31D0A4093822, 0x0370734413198A2E, counter)))
