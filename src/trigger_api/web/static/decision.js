// From scores to detections, as the service does it: threshold, patience, refractory time.

/** The detections `[{ time_ms, score }]` in a curve of the service's answer, with a threshold of the reader's. */
export function decide({ values, hop_ms, patience, refractory_ms, delay_ms }, threshold, duration_ms) {
  const found = [];
  let run = 0;
  let ready = 0;
  values.forEach((score, k) => {
    run = score >= threshold ? run + 1 : 0;
    const now = (k + 1) * hop_ms;
    if (run !== patience || now < ready) return;
    ready = now + refractory_ms;
    found.push({ time_ms: Math.min(Math.max(0, Math.round(now - delay_ms)), duration_ms), score });
  });
  return found;
}
