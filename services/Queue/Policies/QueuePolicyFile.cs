using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Policies;

/// <summary>
/// What destinations bear, when mail is tried again, what senders have and what replies mean, from a file that is looked at every second: what is written there counts
/// from the next batch, and the next decision, on. A file that cannot be read, or says what is not allowed, changes nothing, and the log says so once;
/// at the start it is an error as any other setting is.
/// </summary>
internal sealed partial class QueuePolicyFile : BackgroundService
{
    private readonly string _path;
    private readonly PolicyReader<QueuePolicy> _reader;
    private readonly QueueTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<QueuePolicyFile> _log;

    private bool _isMissing;
    private volatile QueuePolicy _current;

    public QueuePolicyFile(IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<QueuePolicyFile> log)
    {
        (_path, _telemetry, _time, _log) = (options.Value.PolicyFile, telemetry, time, log);
        _reader = new(_path, (bytes, failures) => Parse(bytes, options.Value, failures));
        _current = new(options.Value, new QueuePolicyOptions());
        if (_path.Length == 0)
            return;
        _current = _reader.Look() == PolicyLook.Taken
            ? _reader.Policy! : throw new OptionsValidationException(QueuePolicyOptions.SectionName, typeof(QueuePolicyOptions), _reader.Failures);
    }

    /// <summary>What counts now; the same object until the file changes.</summary>
    public DestinationPolicy Current => _current.Destinations;

    /// <summary>The same of times.</summary>
    public ScheduleTable Schedules => _current.Schedules;

    /// <summary>The same of senders' weights and rates.</summary>
    public SenderPolicy Senders => _current.Senders;

    /// <summary>The same of replies.</summary>
    public ReplyTable Replies => _current.Replies;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, QueueOptions settings, List<string> failures) =>
        PolicyFiles.Validate(setting, settings.PolicyFile, (bytes, wrong) => Parse(bytes, settings, wrong), failures);

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

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => _path.Length == 0
        ? Task.CompletedTask
        : new TickLoop(PolicyFiles.Interval, _time).RunAsync(
            _ =>
            {
                Look();
                return Task.CompletedTask;
            },
            bug => LogUnreadable(_log, _path, bug.Message), stoppingToken);

    private static QueuePolicy? Parse(byte[] bytes, QueueOptions settings, List<string> failures)
    {
        var options = PolicyFiles.ReadOptions<QueuePolicyOptions>(bytes, QueuePolicyOptions.SectionName, failures);
        options?.Validate(failures);
        return options is null || failures.Count > 0 ? null : new QueuePolicy(settings, options);
    }

    [LoggerMessage(2120, LogLevel.Error, "The policy {Path} cannot be read, and what was read before stays in force: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string path, string reason);

    [LoggerMessage(2121, LogLevel.Error, "The policy {Path} is not taken, and what was read before stays in force: {Failures}")]
    private static partial void LogRefused(ILogger log, string path, string failures);

    [LoggerMessage(2122, LogLevel.Information, "The policy {Path} has changed, and is in force")]
    private static partial void LogTaken(ILogger log, string path);
}

/// <summary>One state of the file.</summary>
internal sealed class QueuePolicy(QueueOptions settings, QueuePolicyOptions options)
{
    public DestinationPolicy Destinations { get; } = new(options);

    public ScheduleTable Schedules { get; } = new(settings, options);

    public SenderPolicy Senders { get; } = new(options.Senders);

    public ReplyTable Replies { get; } = new(options.Replies);
}
