using System.Text.Json;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The policy of the door, from a file that is looked at every second: what is written there counts from the next question on. A file that
/// cannot be read, or says what is not allowed, changes nothing, and the log says so once; at the start it is an error as any other setting is.
/// </summary>
internal sealed partial class PolicyFile : BackgroundService
{
    /// <summary>A table for people to read is far from it.</summary>
    internal const int MaxBytes = 1024 * 1024;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly IngressTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<PolicyFile> _log;

    // As it was read last, whether it was taken or not: each state of the file is judged once.
    private byte[] _seen = [];
    private bool _isMissing;
    private volatile DoorPolicy _current = DoorPolicy.Off;

    public PolicyFile(IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<PolicyFile> log)
    {
        (_path, _telemetry, _time, _log) = (options.Value.Checks.PolicyFile, telemetry, time, log);
        if (_path.Length == 0)
            return;
        _seen = Read(_path);
        var failures = new List<string>();
        _current = Parse(_seen, failures) is { } policy && failures.Count == 0
            ? policy : throw new OptionsValidationException(PolicyOptions.SectionName, typeof(PolicyOptions), failures);
    }

    /// <summary>What counts now; the same object until the file changes.</summary>
    public DoorPolicy Current => _current;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, string path, List<string> failures)
    {
        try
        {
            var wrong = new List<string>();
            Parse(Read(path), wrong);
            failures.AddRange(wrong.Select(failure => $"{setting} is '{path}': {failure}"));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            failures.Add($"{setting} is '{path}', which cannot be read: {unreadable.Message}");
        }
    }

    /// <summary>Looks at the file, and takes what it says if it has changed.</summary>
    internal void Look()
    {
        byte[] bytes;
        try
        {
            bytes = Read(_path);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            if (!_isMissing)
                LogUnreadable(_log, _path, unreadable.Message);
            _telemetry.PolicyRead(isTaken: false);
            _isMissing = true;
            return;
        }

        _isMissing = false;
        if (bytes.AsSpan().SequenceEqual(_seen))
            return;
        _seen = bytes;
        var failures = new List<string>();
        var policy = Parse(bytes, failures);
        if (policy is null || failures.Count > 0)
        {
            LogRefused(_log, _path, string.Join("; ", failures));
            _telemetry.PolicyRead(isTaken: false);
            return;
        }

        _current = policy;
        _telemetry.PolicyRead(isTaken: true);
        LogTaken(_log, _path);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_path.Length == 0)
            return;
        while (true)
        {
            await Task.Delay(s_interval, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    /// <summary>Whole, with its links followed: a ConfigMap's file is a link that is turned round.</summary>
    private static byte[] Read(string path)
    {
        using var file = File.OpenRead(path);
        // What is written to it meanwhile is there at the next look.
        var bytes = new byte[Math.Min(file.Length, MaxBytes) + 1];
        var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return bytes[..length];
    }

    private static DoorPolicy? Parse(byte[] bytes, List<string> failures)
    {
        if (bytes.Length > MaxBytes)
        {
            failures.Add($"the policy has more than {MaxBytes} octets");
            return null;
        }

        try
        {
            var written = new ConfigurationBuilder().AddJsonStream(new MemoryStream(bytes)).Build();
            var section = new ConfigurationBuilder()
                .AddInMemoryCollection(written.AsEnumerable().Select(setting => KeyValuePair.Create($"{PolicyOptions.SectionName}:{setting.Key}", setting.Value)))
                .Build();
            var options = section.ReadSettings<PolicyOptions>(PolicyOptions.SectionName);
            options.Validate(failures);
            return failures.Count > 0 ? null : new DoorPolicy(options);
        }
        catch (OptionsValidationException wrong)
        {
            failures.AddRange(wrong.Failures);
        }
        catch (Exception unreadable) when (unreadable is JsonException or FormatException or InvalidDataException)
        {
            failures.Add($"it is no JSON of settings: {(unreadable.InnerException ?? unreadable).Message}");
        }

        return null;
    }

    [LoggerMessage(1040, LogLevel.Error, "The policy {Path} cannot be read, and what was read before stays in force: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string path, string reason);

    [LoggerMessage(1041, LogLevel.Error, "The policy {Path} is not taken, and what was read before stays in force: {Failures}")]
    private static partial void LogRefused(ILogger log, string path, string failures);

    [LoggerMessage(1042, LogLevel.Information, "The policy {Path} has changed, and is in force")]
    private static partial void LogTaken(ILogger log, string path);
}
