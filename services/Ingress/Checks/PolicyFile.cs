using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The policy of the door, from a file that is looked at every second: what is written there counts from the next question on. A file that
/// cannot be read, or says what is not allowed, changes nothing, and the log says so once; at the start it is an error as any other setting is.
/// </summary>
internal sealed partial class PolicyFile : BackgroundService
{
    private readonly string _path;
    private readonly PolicyReader<DoorPolicy> _reader;
    private readonly IngressTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<PolicyFile> _log;

    private bool _isMissing;
    private volatile DoorPolicy _current = DoorPolicy.Off;

    public PolicyFile(IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<PolicyFile> log)
    {
        (_path, _telemetry, _time, _log) = (options.Value.Checks.PolicyFile, telemetry, time, log);
        _reader = new(_path, (bytes, failures) => Parse(bytes, options.Value.Listeners, failures));
        if (_path.Length == 0)
            return;
        _current = _reader.Look() == PolicyLook.Taken
            ? _reader.Policy! : throw new OptionsValidationException(PolicyOptions.SectionName, typeof(PolicyOptions), _reader.Failures);
    }

    /// <summary>What counts now; the same object until the file changes.</summary>
    public DoorPolicy Current => _current;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, string path, IEnumerable<ListenerOptions> listeners, List<string> failures) =>
        PolicyFiles.Validate(setting, path, (bytes, wrong) => Parse(bytes, listeners, wrong), failures);

    /// <summary>Looks at the file, and takes what it says if it has changed.</summary>
    internal void Look()
    {
        var found = _reader.Look();
        if (found == PolicyLook.Unreadable && !_isMissing)
            LogUnreadable(_log, _path, _reader.Failures[0]);
        _isMissing = found == PolicyLook.Unreadable;
        if (found == PolicyLook.Refused)
            LogRefused(_log, _path, string.Join("; ", _reader.Failures));
        if (found != PolicyLook.Unchanged)
            _telemetry.PolicyRead(isTaken: found == PolicyLook.Taken);
        if (found != PolicyLook.Taken)
            return;
        _current = _reader.Policy!;
        LogTaken(_log, _path);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_path.Length == 0)
            return;
        while (true)
        {
            await Task.Delay(PolicyFiles.Interval, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stoppingToken.IsCancellationRequested)
                return;
            LookSafely();
        }
    }

    private void LookSafely()
    {
        try
        {
            Look();
        }
        catch (Exception bug)
        {
            LogUnreadable(_log, _path, bug.Message);
        }
    }

    private static DoorPolicy? Parse(byte[] bytes, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        var options = PolicyFiles.ReadOptions<PolicyOptions>(bytes, PolicyOptions.SectionName, failures);
        options?.Validate(listeners, failures);
        return options is null || failures.Count > 0 ? null : new DoorPolicy(options);
    }

    [LoggerMessage(1040, LogLevel.Error, "The policy {Path} cannot be read, and what was read before stays in force: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string path, string reason);

    [LoggerMessage(1041, LogLevel.Error, "The policy {Path} is not taken, and what was read before stays in force: {Failures}")]
    private static partial void LogRefused(ILogger log, string path, string failures);

    [LoggerMessage(1042, LogLevel.Information, "The policy {Path} has changed, and is in force")]
    private static partial void LogTaken(ILogger log, string path);
}
