using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The log on standard output: one event, one line, and an exception after it in lines that are indented, whatever is in them
/// (control characters are escaped, so no client can forge a line). Lines are written in batches by one thread, and dropped and
/// counted rather than waited for when the reader of the output is too slow: a stuck terminal must not hold up mail. (A thread of its own, and
/// not .NET's console logger: the reasons and figures are in docs/adr/0012.)
/// </summary>
[ProviderAlias("Console")]
internal sealed class LineLog : ILoggerProvider
{
    private const int MaxWaitingLines = 8192;

    // Whoever starts the host says what went wrong, in one line for the operator; this is the same once more with its stack.
    private const string HostCategory = "Microsoft.Extensions.Hosting.Internal.Host";
    private const int HostedServiceStartupFaulted = 11;

    // What is waited for and told of by Monitor, which Lock does not have.
    private readonly object _gate = new();
    private readonly ConcurrentDictionary<string, CategoryLogger> _loggers = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;
    private readonly TextWriter _output;
    private readonly Thread _writer;
    private Second _second = new(-1, "");

    // Under the gate.
    private List<string> _waiting = [];
    private long _dropped;
    private bool _isEnding;

    public LineLog(TimeProvider time)
        : this(time, new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), bufferSize: 16 * 1024) { AutoFlush = false })
    {
    }

    internal LineLog(TimeProvider time, TextWriter output)
    {
        _time = time;
        _output = output;
        _writer = new Thread(Write) { IsBackground = true, Name = nameof(LineLog) };
        _writer.Start();
    }

    public ILogger CreateLogger(string categoryName) =>
        _loggers.GetOrAdd(categoryName, static (name, log) => new CategoryLogger(name, log), this);

    public void Dispose()
    {
        // What was logged last, just before the end, is what matters most.
        lock (_gate)
        {
            _isEnding = true;
            Monitor.Pulse(_gate);
        }

        _writer.Join(TimeSpan.FromSeconds(2));
    }

    private void Add(string line)
    {
        lock (_gate)
        {
            if (_isEnding || _waiting.Count >= MaxWaitingLines)
            {
                _dropped++;
                return;
            }

            _waiting.Add(line);
            // It sleeps only while there are none.
            if (_waiting.Count == 1)
                Monitor.Pulse(_gate);
        }
    }

    private void Write()
    {
        List<string> lines = [];
        while (Take(ref lines, out var dropped))
        {
            try
            {
                foreach (var line in lines)
                    _output.Write(line);
                if (dropped > 0)
                    _output.Write(string.Create(CultureInfo.InvariantCulture, $"{Now()} warn Log: {dropped} lines were dropped, the output did not take them\n"));
                _output.Flush();
            }
            catch (Exception)
            {
                // A disk that is full, an output that was closed: whatever it is must not end a mail server, and may be over with the next line.
                lock (_gate)
                    _dropped += dropped + lines.Count;
            }
        }
    }

    /// <summary>Waits for lines and takes all there are; false when there are none and none will come.</summary>
    /// <param name="lines">Those that were taken before, and are written.</param>
    private bool Take(ref List<string> lines, out long dropped)
    {
        lines.Clear();
        lock (_gate)
        {
            while (_waiting.Count == 0 && !_isEnding)
                Monitor.Wait(_gate);
            (lines, _waiting) = (_waiting, lines);
            (dropped, _dropped) = (_dropped, 0);
        }

        return lines.Count > 0;
    }

    /// <summary>The time as it stands in front of a line. Nearly all lines share their second with the one before, and so its text.</summary>
    private string Now()
    {
        var now = _time.GetUtcNow().UtcTicks;
        var second = _second;
        if (second.Number != now / TimeSpan.TicksPerSecond)
        {
            var text = new DateTime(now, DateTimeKind.Utc).ToString("yyyy-MM-ddTHH:mm:ss.", CultureInfo.InvariantCulture);
            _second = second = new Second(now / TimeSpan.TicksPerSecond, text);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{second.Text}{now % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMillisecond:D3}Z");
    }

    /// <param name="Number">Seconds since the year 1, in UTC.</param>
    /// <param name="Text">Its date and time, up to the point before the fraction.</param>
    private sealed record Second(long Number, string Text);

    private sealed class CategoryLogger(string category, LineLog log) : ILogger
    {
        // "MailPipeline.Ingress.SmtpConnection" -> "Ingress": the service says enough, the event id says the rest.
        private readonly string _name = category.StartsWith("MailPipeline.", StringComparison.Ordinal) ? category.Split('.')[1] : category;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == HostedServiceStartupFaulted && category == HostCategory)
                return;
            var text = VisibleText.Of(formatter(state, exception));
            var line = eventId.Id == 0
                ? $"{log.Now()} {Name(logLevel)} {_name}: {text}\n"
                : string.Create(CultureInfo.InvariantCulture, $"{log.Now()} {Name(logLevel)} {_name}[{eventId.Id}]: {text}\n");
            log.Add(exception is null ? line : line + Indent(exception.ToString()));
        }

        private static string Name(LogLevel level) => level switch
        {
            LogLevel.Trace => "trce",
            LogLevel.Debug => "dbug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warn",
            LogLevel.Error => "fail",
            _ => "crit",
        };

        private static string Indent(string text) =>
            string.Concat(text.ReplaceLineEndings("\n").Split('\n').Select(part => $"    {VisibleText.Of(part)}\n"));

    }
}
