using System.Diagnostics.CodeAnalysis;

namespace MailPipeline.Ingress.NextHops;

/// <summary>
/// What is remembered of recipients for some time, a bounded number of them: who is added as one too many makes the oldest be forgotten.
/// </summary>
internal sealed class KnownRecipients<T>(int most, TimeSpan keep, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (long At, T Known)> _known = new(StringComparer.OrdinalIgnoreCase);

    // In the order in which they were added; what was added again, or taken away, is passed over.
    private readonly Queue<(string Address, long At)> _order = [];

    /// <param name="age">How long ago it was added.</param>
    public bool TryFind(string address, [MaybeNullWhen(false)] out T known, out TimeSpan age)
    {
        lock (_lock)
        {
            if (_known.TryGetValue(address, out var found) && (age = time.GetElapsedTime(found.At)) < keep)
            {
                known = found.Known;
                return true;
            }
        }

        (known, age) = (default, default);
        return false;
    }

    public void Add(string address, T known)
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            _known[address] = (now, known);
            _order.Enqueue((address, now));
            while (_order.TryPeek(out var oldest) && (_known.Count > most || _order.Count > 2L * most || time.GetElapsedTime(oldest.At) >= keep))
            {
                _order.Dequeue();
                if (_known.TryGetValue(oldest.Address, out var found) && found.At == oldest.At)
                    _known.Remove(oldest.Address);
            }
        }
    }

    public void Remove(string address)
    {
        lock (_lock)
            _known.Remove(address);
    }
}
