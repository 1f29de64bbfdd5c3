using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns;

/// <summary>
/// Questions that DNS gave no answer to lately. Each is left alone for a time that doubles with each failure in a row, from
/// <see cref="DnsOptions.FailureTime"/> to eight times as long, and is forgotten with its first answer.
/// </summary>
public sealed class UnansweredQuestions(IOptions<DnsOptions> options, TimeProvider time)
{
    private const int Remembered = 20_000;

    /// <summary>With the default of 20 s the longest time is 160 s: the queue's first retry, after five minutes, asks again.</summary>
    private const int MostDoublings = 3;

    /// <summary>RFC 9520 §3.2: no failure is remembered for longer; unless the operator wants it.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan s_lately = TimeSpan.FromHours(1);

    private readonly RecentEvents _events = new(Remembered, s_lately, time);

    /// <summary>It had no answer just now. Returns how long it is to be left alone.</summary>
    public TimeSpan Note(string question) => PauseAfter(_events.Note(question));

    /// <summary>It had an answer.</summary>
    public void Forget(string question) => _events.Forget(question);

    /// <summary>How much longer it is left alone, nothing or less when that is over; null when it had an answer last time.</summary>
    public TimeSpan? Left(string question) => _events.Find(question) is var (age, times) ? PauseAfter(times) - age : null;

    private TimeSpan PauseAfter(int times)
    {
        var shortest = options.Value.FailureTime;
        var pause = shortest * (1 << Math.Min(times - 1, MostDoublings));
        pause = pause < s_longest ? pause : s_longest;
        return pause > shortest ? pause : shortest;
    }
}
