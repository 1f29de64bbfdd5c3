using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Sources;

/// <summary>Tells the operator what keeps source addresses from being used: one line in five minutes for each cause, and one that counts the rest.</summary>
internal sealed class SourceLog(TimeProvider time, ILogger<SourceLog> log) : IDisposable
{
    private static readonly TimeSpan s_window = TimeSpan.FromMinutes(5);

    private readonly LogCap<(string Source, string Text)> _faults = new(
        time, lines: 1, s_window, (fault, count) => log.SourceFaultyAgain(fault.Source, fault.Text, count));

    private readonly LogCap<(string Pool, string Text)> _lacks = new(
        time, lines: 1, s_window, (lack, count) => log.SourcesLackingAgain(lack.Pool, lack.Text, count));

    public void Faulty(string source, string text)
    {
        if (_faults.MayWrite((source, text)))
            log.SourceFaulty(source, text);
    }

    public void Lacking(string pool, SourceLack lack, int recipients, DateTimeOffset until)
    {
        if (_lacks.MayWrite((pool, lack.Text)))
            log.SourcesLacking(pool, lack.Text, recipients, until);
    }

    public void Dispose()
    {
        _faults.Dispose();
        _lacks.Dispose();
    }
}
