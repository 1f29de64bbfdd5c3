using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Policies;

/// <summary>
/// What destinations bear, when mail is tried again, what senders have and what replies mean, from the file that <see cref="QueueOptions.PolicyFile"/> names: what is
/// written there counts from the next batch, and the next decision, on.
/// </summary>
internal sealed class QueuePolicyFile(IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<QueuePolicyFile> log)
    : PolicyWatch<QueuePolicy>(
        new(options.Value.PolicyFile, QueuePolicyOptions.SectionName, typeof(QueuePolicyOptions), FirstEvent: 2120), new(options.Value, new QueuePolicyOptions()),
        (bytes, failures) => Parse(bytes, options.Value, failures), telemetry.PolicyRead, time, log)
{
    /// <summary>What counts now; the same object until the file changes.</summary>
    public DestinationPolicy Current => Policy.Destinations;

    /// <summary>The same of times.</summary>
    public ScheduleTable Schedules => Policy.Schedules;

    /// <summary>The same of senders' weights and rates.</summary>
    public SenderPolicy Senders => Policy.Senders;

    /// <summary>The same of replies.</summary>
    public ReplyTable Replies => Policy.Replies;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, QueueOptions settings, List<string> failures) =>
        PolicyFiles.Validate(setting, settings.PolicyFile, (bytes, wrong) => Parse(bytes, settings, wrong), failures);

    private static QueuePolicy? Parse(byte[] bytes, QueueOptions settings, List<string> failures) =>
        QueuePolicyOptions.Read(bytes, failures) is { } options ? new QueuePolicy(settings, options) : null;
}

/// <summary>One state of the file.</summary>
internal sealed class QueuePolicy(QueueOptions settings, QueuePolicyOptions options)
{
    public DestinationPolicy Destinations { get; } = new(options);

    public ScheduleTable Schedules { get; } = new(settings, options);

    public SenderPolicy Senders { get; } = new(options.Senders);

    public ReplyTable Replies { get; } = new(options.Replies);
}
