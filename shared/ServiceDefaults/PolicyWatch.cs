using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>Where a policy is written, and by what names people meet it.</summary>
/// <param name="Path">Of the file; empty: there is none.</param>
/// <param name="Section">What messages call its settings by.</param>
/// <param name="Options">Its settings.</param>
/// <param name="FirstEvent">In the log: it cannot be read; the next: it is not taken; the third: it is in force.</param>
public sealed record PolicySource(string Path, string Section, Type Options, int FirstEvent);

/// <summary>
/// A policy from a file that is looked at every second: what is written there counts from the next question on. A file that cannot be read, or says
/// what is not allowed, changes nothing, and the log says so once; at the start it is an error as any other setting is.
/// </summary>
public abstract class PolicyWatch<TPolicy> : BackgroundService
    where TPolicy : class
{
    private readonly string _path;
    private readonly PolicyReader<TPolicy> _reader;
    private readonly Action<bool> _looked;
    private readonly TimeProvider _time;
    private readonly PolicyLog _log;

    private bool _isMissing;
    private volatile TPolicy _policy;

    /// <param name="standard">What counts where there is no file.</param>
    /// <param name="parse">Null, or something among the failures: it is not what is allowed.</param>
    /// <param name="looked">Told of each state of the file whether it was taken.</param>
    /// <exception cref="OptionsValidationException">It cannot be read, or says what is not allowed.</exception>
    protected PolicyWatch(
        PolicySource source, TPolicy standard, Func<byte[], List<string>, TPolicy?> parse, Action<bool> looked, TimeProvider time, ILogger log)
    {
        (_path, _looked, _time, _log) = (source.Path, looked, time, new PolicyLog(log, source));
        _reader = new(_path, parse);
        _policy = standard;
        if (_path.Length == 0)
            return;
        _policy = _reader.Look() == PolicyLook.Taken
            ? _reader.Policy! : throw new OptionsValidationException(source.Section, source.Options, _reader.Failures);
    }

    /// <summary>What counts now; the same object until the file changes.</summary>
    protected TPolicy Policy => _policy;

    /// <summary>Looks at the file, and takes what it says if it has changed.</summary>
    public void Look()
    {
        var found = _reader.Look();
        if (found == PolicyLook.Unreadable && !_isMissing)
            _log.Unreadable(_reader.Failures[0]);
        _isMissing = found == PolicyLook.Unreadable;
        if (found == PolicyLook.Refused)
            _log.Refused(string.Join("; ", _reader.Failures));
        if (found != PolicyLook.Unchanged)
            _looked(found == PolicyLook.Taken);
        if (found != PolicyLook.Taken)
            return;
        _policy = _reader.Policy!;
        _log.Taken();
    }

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_path.Length == 0)
            return;
        while (true)
        {
            await Task.Delay(PolicyFiles.Interval, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stoppingToken.IsCancellationRequested)
                return;
            try
            {
                Look();
            }
#pragma warning disable CA1031 // The next look is in a second.
            catch (Exception bug)
#pragma warning restore CA1031
            {
                _log.Unreadable(bug.Message);
            }
        }
    }
}

/// <summary>What the log says of a policy's file, under the events of the service that has it.</summary>
internal sealed class PolicyLog(ILogger log, PolicySource source)
{
    private readonly Action<ILogger, string, string, Exception?> _unreadable = LoggerMessage.Define<string, string>(
        LogLevel.Error, new EventId(source.FirstEvent, "PolicyUnreadable"), "The policy {Path} cannot be read, and what was read before stays in force: {Reason}");

    private readonly Action<ILogger, string, string, Exception?> _refused = LoggerMessage.Define<string, string>(
        LogLevel.Error, new EventId(source.FirstEvent + 1, "PolicyRefused"), "The policy {Path} is not taken, and what was read before stays in force: {Failures}");

    private readonly Action<ILogger, string, Exception?> _taken = LoggerMessage.Define<string>(
        LogLevel.Information, new EventId(source.FirstEvent + 2, "PolicyTaken"), "The policy {Path} has changed, and is in force");

    public void Unreadable(string reason) => _unreadable(log, source.Path, reason, null);

    public void Refused(string failures) => _refused(log, source.Path, failures, null);

    public void Taken() => _taken(log, source.Path, null);
}
