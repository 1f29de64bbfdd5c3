using System.ComponentModel.DataAnnotations;
using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>When mail is tried, how much at once, and when it is given up. Section "Queue".</summary>
public sealed class QueueOptions
{
    public const string SectionName = "Queue";

    /// <summary>Name of this mail system in reports to senders (Reporting-MTA, RFC 3464 §2.2.2). Default: <see cref="OwnHostName.Default"/>.</summary>
    [Required]
    public string HostName
    {
        get => _hostName ?? OwnHostName.Default.Text;
        set => _hostName = value;
    }

    private string? _hostName;

    /// <summary>
    /// Mailbox for postmaster and MAILER-DAEMON of this host, where an alias leads there: what <c>Ingress:Postmaster</c> says of mail at the
    /// door. Default: none, the postmaster of the first of our first ten domains that has one.
    /// </summary>
    public string Postmaster { get; set; } = "";

    /// <summary>
    /// Pauses between attempts, in order; the last one repeats. Default 5 m, 10 m, 20 m, 30 m, 1 h, 2 h: early steps are
    /// short because most temporary failures (greylisting) are, later ones respect RFC 5321 §4.5.4.1, at least 30 minutes.
    /// </summary>
    [Required, MinLength(1)]
    public IReadOnlyList<TimeSpan> RetrySteps { get; set; } = [];

    /// <summary>Each pause is lengthened by a random part of up to this share, so that retries spread. Default 0.1.</summary>
    [Range(0.0, 1.0)]
    public double RetryJitter { get; set; } = 0.1;

    /// <summary>A recipient is given up at this age. Default 5 days (RFC 5321 §4.5.4.1).</summary>
    [Range(typeof(TimeSpan), "00:00:01", "60.00:00:00")]
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromDays(5);

    /// <summary>What follows an attempt that may have delivered: contact was lost between the final dot and its reply.</summary>
    public UncertainOptions Uncertain { get; init; } = new();

    /// <summary>Most batches under way for one domain, which is most connections to it. Default 20, as Postfix.</summary>
    [Range(1, 1000)]
    public int DomainConcurrency { get; set; } = 20;

    /// <summary>Batches under way at first; one more for each that reached the domain. Default 5, as Postfix.</summary>
    [Range(1, 1000)]
    public int InitialConcurrency { get; set; } = 5;

    /// <summary>
    /// Most batches under way to the same hosts, for all domains together whose mail goes there, where <see cref="PolicyFile"/> says nothing of
    /// them. Default 100: what large providers take of one sender without a reputation.
    /// </summary>
    [Range(1, 10_000)]
    public int SiteConcurrency { get; set; } = 100;

    /// <summary>A file in JSON that says what single destinations bear, whose mail is tried again when, and what replies mean; it is read again when it changes. Default: none.</summary>
    public string PolicyFile { get; set; } = "";

    /// <summary>Most recipients of one batch; they share one connection. Default 100.</summary>
    [Range(1, 1000)]
    public int BatchRecipients { get; set; } = 100;

    /// <summary>Due recipients of one domain held in memory; the rest stays in storage. Default 2,000.</summary>
    [Range(1, 100_000)]
    public int WindowRecipients { get; set; } = 2_000;

    /// <summary>
    /// How long a batch may go unclaimed and unreported before the queue looks into storage. Default 15 s, as a claim's lease:
    /// what a dead worker held is handed out again when its lease is over.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan BatchTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How often the reconciler looks for what has been forgotten. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:10:00")]
    public TimeSpan ReconcileInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Age at which the reconciler routes an accepted message whose hint did not arrive. Default 2 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan UnroutedGrace { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a failure waits for others of the same message, to be told of in one report; where none can follow it is told at once.
    /// Default 15 s: the dead domains of a mailing are found dead within seconds of each other.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ReportDelay { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How long a recipient waits before its sender is told that it still does; 0: he is not. Default 4 h, as long as RFC 5321 §4.5.4.1 lets
    /// most of the early attempts take.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "60.00:00:00")]
    public TimeSpan DelayReportAfter { get; set; } = TimeSpan.FromHours(4);

    /// <summary>Longest message, in octets, that comes back whole with a report of failure where its sender asked for that. Default 100 KiB.</summary>
    [Range(0.0, 10 * 1024 * 1024)]
    public long MaxReturnedBytes { get; set; } = 100 * 1024;

    /// <summary>
    /// Reports that one sender is sent in an hour; further ones are dropped, counted, and noted with the message they are about. Default
    /// 1,000: a mailing's dead addresses, and no flood for one whose name was forged.
    /// </summary>
    [Range(0, 1_000_000)]
    public int MaxReportsPerSender { get; set; } = 1000;

    /// <summary>
    /// Mailbox of who answers for reports about TLS (RFC 8460 §4.4, Delivery counts what they tell), and from whom they come. Default: postmaster@ and
    /// <see cref="HostName"/>.
    /// </summary>
    public string TlsReportContact { get; set; } = "";

    /// <summary>Reports by DMARC (RFC 7489 §7.2): who answers for ours, and where those of others come to.</summary>
    public DmarcReportOptions DmarcReports { get; init; } = new();

    /// <summary>What puts recipients on the suppression lists of those senders that have one.</summary>
    public SuppressionOptions Suppression { get; init; } = new();

    /// <summary>How long messages are remembered for operators after the last of their recipients had his end. Default 14 days.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan HistoryRetention { get; set; } = TimeSpan.FromDays(14);

    /// <summary>
    /// Messages are found by sender, recipient and Message-ID, from when they are routed until they are forgotten. Those that are routed while it is
    /// off are found by their id alone. Default true.
    /// </summary>
    public bool MessageSearch { get; set; } = true;

    /// <summary>
    /// Keeps everything queued and hands nothing out, in this process, whatever the operator's switch says. Default false.
    /// </summary>
    public bool DeliveryPaused { get; set; }

    /// <summary>Port of the Orleans silo on loopback, or on the pod's address in a cluster. Default 11111.</summary>
    [Range(1, 65535)]
    public int SiloPort { get; set; } = 11111;

    internal static readonly TimeSpan[] DefaultRetrySteps =
    [
        TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(30),
        TimeSpan.FromHours(1), TimeSpan.FromHours(2),
    ];
}

[OptionsValidator]
internal sealed partial class QueueOptionsValidator : IValidateOptions<QueueOptions>;

/// <summary>Rules over more than one setting, and the default of a list (configuration binding appends to lists).</summary>
internal sealed class QueueOptionsRules : IPostConfigureOptions<QueueOptions>, IValidateOptions<QueueOptions>
{
    public void PostConfigure(string? name, QueueOptions options)
    {
        if (options.RetrySteps.Count == 0)
            options.RetrySteps = QueueOptions.DefaultRetrySteps;
        if (options.Uncertain.Steps.Count == 0)
            options.Uncertain.Steps = UncertainOptions.DefaultSteps;
        if (options.Suppression.Classes.Count == 0)
            options.Suppression.Classes = SuppressionOptions.DefaultClasses;
    }

    public ValidateOptionsResult Validate(string? name, QueueOptions options)
    {
        if (options.Postmaster.Length > 0 && !SmtpAddress.TryParse(options.Postmaster, out _, allowUtf8: true))
            return ValidateOptionsResult.Fail($"Queue:Postmaster is '{options.Postmaster}'; it must be a mail address or left out");
        if (options.TlsReportContact.Length > 0 && !SmtpAddress.TryParse(options.TlsReportContact, out _))
            return ValidateOptionsResult.Fail($"Queue:TlsReportContact is '{options.TlsReportContact}'; it must be a mail address or left out");
        if (options.DmarcReports.FaultOf($"Queue:{nameof(QueueOptions.DmarcReports)}") is { } fault)
            return ValidateOptionsResult.Fail(fault);
        if (!SmtpAddress.TryParse($"x@{options.HostName}", out _))
            return ValidateOptionsResult.Fail($"Queue:HostName is '{options.HostName}'; it must be a domain name such as mx.example.org, or an address in brackets");
        var failures = new List<string>();
        RetryStepsRule.Validate($"Queue:{nameof(QueueOptions.RetrySteps)}", options.RetrySteps, failures);
        options.Uncertain.Validate($"Queue:{nameof(QueueOptions.Uncertain)}", failures);
        options.Suppression.Validate($"Queue:{nameof(QueueOptions.Suppression)}", failures);
        if (failures.Count == 0 && options.PolicyFile.Length > 0)
            QueuePolicyFile.Validate($"Queue:{nameof(QueueOptions.PolicyFile)}", options, failures);
        if (failures.Count > 0)
            return ValidateOptionsResult.Fail(failures);
        if (options.InitialConcurrency > options.DomainConcurrency)
        {
            return ValidateOptionsResult.Fail(
                $"Queue:InitialConcurrency ({options.InitialConcurrency}) must not exceed Queue:DomainConcurrency ({options.DomainConcurrency}).");
        }
        return ValidateOptionsResult.Success;
    }
}
