"""Token windows in the order in which `anemone train` takes them.

The same functions as src/text/permute.c and dataset.c, for text files and the
tokenizer "bytes". Run alone it prints the permutation that test_text.c holds.
"""

MASK = (1 << 64) - 1
ROUNDS = 6
END_OF_TEXT = 256


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def permute(key1, key2, n, i):
    half = 1
    while half < 31 and (n - 1) >> (2 * half):
        half += 1
    mask = (1 << half) - 1
    key = mix(mix(key1) ^ key2)
    while True:
        left, right = i >> half, i & mask
        for r in range(ROUNDS):
            left, right = right, left ^ (mix(key ^ mix(right << 8 | r)) & mask)
        i = left << half | right
        if i < n:
            return i


class Windows:
    """Windows of sequence + 1 ids; `share` of them, at the end, validate."""

    def __init__(self, paths, sequence, seed, share):
        self.ids = []
        for path in paths:
            with open(path, "rb") as file:
                self.ids += [END_OF_TEXT, *file.read()]
        self.sequence, self.seed = sequence, seed
        count = (len(self.ids) - 1) // sequence
        # C's round: halves away from zero.
        validation = int(share * count + 0.5)
        validation = max(validation, 1 if share > 0 else 0)
        self.n_validation = min(validation, count - (1 if share < 1 else 0))
        self.n_train = count - self.n_validation

    def _window(self, i):
        at = i * self.sequence
        return self.ids[at : at + self.sequence + 1]

    def train(self, k):
        n = self.n_train
        return self._window(permute(self.seed, k // n, n, k % n))

    def validation(self, k):
        return self._window(self.n_train + k)


if __name__ == "__main__":
    print([permute(1, 2, 1000, i) for i in range(8)])
