using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// From which addresses mail leaves, from a file that is looked at every second: what is written there counts from the next connection on. A file that cannot
/// be read, or says what is not allowed, changes nothing, and the log says so once; at the start it is an error as any other setting is.
/// </summary>
internal sealed class SourcesFile : BackgroundService
{
    private readonly string _path;
    private readonly PolicyReader<SourceTable> _reader;
    private readonly TimeProvider _time;
    private readonly ILogger<SourcesFile> _log;
    private bool _isMissing;
    private volatile SourceTable _current = SourceTable.Empty;

    public SourcesFile(IOptions<DeliveryOptions> options, TimeProvider time, ILogger<SourcesFile> log)
    {
        (_path, _time, _log) = (options.Value.SourcesFile, time, log);
        _reader = new(_path, Parse);
        if (_path.Length == 0)
            return;
        _current = _reader.Look() == PolicyLook.Taken
            ? _reader.Policy! : throw new OptionsValidationException(SourcesOptions.SectionName, typeof(SourcesOptions), _reader.Failures);
    }

    /// <summary>What counts now; the same object until the file changes.</summary>
    public SourceTable Current => _current;

    /// <summary>Something else counts from now on.</summary>
    public event Action? Changed;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, string path, List<string> failures) => PolicyFiles.Validate(setting, path, Parse, failures);

    /// <summary>Looks at the file, and takes what it says if it has changed.</summary>
    internal void Look()
    {
        var found = _reader.Look();
        if (found == PolicyLook.Unreadable && !_isMissing)
            _log.SourcesUnreadable(_path, _reader.Failures[0]);
        _isMissing = found == PolicyLook.Unreadable;
        if (found == PolicyLook.Refused)
            _log.SourcesRefused(_path, string.Join("; ", _reader.Failures));
        if (found != PolicyLook.Taken)
            return;
        _current = _reader.Policy!;
        _log.SourcesTaken(_path);
        Changed?.Invoke();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_path.Length == 0)
            return;
        using var timer = new PeriodicTimer(PolicyFiles.Interval, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                Look();
            }
#pragma warning disable CA1031 // A timer tick: what was read before counts.
            catch (Exception bug)
#pragma warning restore CA1031
            {
                _log.SourcesUnreadable(_path, bug.Message);
            }
        }
    }

    private static SourceTable? Parse(byte[] bytes, List<string> failures)
    {
        var options = PolicyFiles.ReadOptions<SourcesOptions>(bytes, SourcesOptions.SectionName, failures);
        options?.Validate(failures);
        return options is null || failures.Count > 0 ? null : new SourceTable(options);
    }
}
