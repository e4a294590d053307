// Figures that a noisy machine leaves alone: every side is measured in every round, so what slows a round slows all of
// its sides, and the median of the rounds' ratios counts.

/** The median of numbers. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Measures every side in every round, in an order that turns from round to round: measure(side) resolves to an object
 * of numbers. Returns per side and name the median figure, the least one, the median of its ratios to another side of the
 * same round, the first one unless baseOf(side) is given, and the number of rounds: no more are begun after `end`.
 */
export async function paired(sides, rounds, measure, { baseOf = () => sides[0], end = Infinity } = {}) {
  const seen = sides.map(() => []);
  for (let round = 0; round < rounds && (round === 0 || Date.now() < end); round++) {
    for (let i = 0; i < sides.length; i++) {
      const at = (i + round) % sides.length;
      seen[at].push(await measure(sides[at]));
    }
  }
  return seen.map((figures, i) => {
    const base = seen[sides.indexOf(baseOf(sides[i]))];
    return Object.fromEntries(Object.keys(figures[0]).map((name) => [name, {
      figure: median(figures.map((one) => one[name])),
      least: Math.min(...figures.map((one) => one[name])),
      ratio: median(figures.map((one, round) => one[name] / base[round][name])),
      rounds: figures.length,
    }]));
  });
}
