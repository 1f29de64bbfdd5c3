using System.Text.Json;
using System.Text.Json.Nodes;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MassTransit.Serialization;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// What the services said to each other in a version that may still run beside this one. A text here is never changed: a new version
/// adds another. What an old pod wrote is read, and what a new one writes an old one can read.
/// </summary>
public sealed class ContractTests
{
    private static readonly DateTimeOffset s_at = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    private static readonly QueuedRecipient s_recipient = new(
        65_536_001, "ann@example.org", "you@example.net", 2048, (int)(BodyType.EightBitMime | BodyType.SmtpUtf8), 3, s_at, s_at.AddMinutes(5),
        (int)RecipientRoute.Local, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "list@example.org", "example.net");

    private const string RecipientInVersion1 = """
        {"recipientId":65536001,"address":"ann@example.org","sender":"you@example.net","sizeBytes":2048,"body":3,"attempts":3,
         "acceptedAt":"2026-01-02T03:04:05.678+00:00","nextAttemptAt":"2026-01-02T03:09:05.678+00:00","route":1,
         "traceParent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","original":"list@example.org","flow":"example.net"}
        """;

    // Since recipients have a priority.
    private const string RecipientInVersion2 = """
        {"recipientId":65536001,"address":"ann@example.org","sender":"you@example.net","sizeBytes":2048,"body":3,"attempts":3,
         "acceptedAt":"2026-01-02T03:04:05.678+00:00","nextAttemptAt":"2026-01-02T03:09:05.678+00:00","route":1,
         "traceParent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","original":"list@example.org","flow":"example.net","priority":-3}
        """;

    public static TheoryData<object, string> Version1 => new()
    {
        {
            new MessageAccepted([1000, 1001]), """{"messageIds":[1000,1001]}"""
        },
        { new DeliverMessages("example.org", 77, [s_recipient]), $$"""{"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1}}]}""" },
        { new StoreMessages("example.org", 78, [s_recipient]), $$"""{"domain":"example.org","claimId":78,"recipients":[{{RecipientInVersion1}}]}""" },
        {
            new DeliverMessages("example.org", 77, [s_recipient with { Priority = -3 }]),
            $$"""{"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion2}}]}"""
        },
        {
            new AttemptsCompleted(
                "example.org", 77, [new CompletedAttempt(65_536_001, (int)AttemptOutcome.Uncertain, "4.4.2", "contact lost", "mx.example.org[192.0.2.1]:25", s_at, s_at)], true, true, true, true,
                "mx.example.org", 76),
            """
            {"domain":"example.org","claimId":77,"results":[{"recipientId":65536001,"outcome":4,"status":"4.4.2","reply":"contact lost",
             "remoteHost":"mx.example.org[192.0.2.1]:25","startedAt":"2026-01-02T03:04:05.678+00:00","finishedAt":"2026-01-02T03:04:05.678+00:00"}],
             "unreachable":true,"nothingWon":true,"goesOn":true,"hasEnded":true,"site":"mx.example.org","batchId":76}
            """
        },
    };

    /// <summary>What version 2 says besides.</summary>
    public static TheoryData<object, string> Version2 => new()
    {
        { new VerifyRecipient("ann@example.org", "pod_ingress_bus_x1"), """{"address":"ann@example.org","answerTo":"pod_ingress_bus_x1"}""" },
        { new RecipientVerified("ann@example.org", RecipientAnswer.Refused, "5.1.1"), """{"address":"ann@example.org","answer":2,"status":"5.1.1"}""" },
        // Since attempts say what TLS they had.
        {
            new AttemptsCompleted(
                "example.org", 77, [new CompletedAttempt(65_536_001, (int)AttemptOutcome.Deferred, "4.7.5", "expired", "mx.example.org", s_at, s_at, "sts published expired - -")], true),
            """
            {"domain":"example.org","claimId":77,"results":[{"recipientId":65536001,"outcome":2,"status":"4.7.5","reply":"expired",
             "remoteHost":"mx.example.org","startedAt":"2026-01-02T03:04:05.678+00:00","finishedAt":"2026-01-02T03:04:05.678+00:00",
             "tls":"sts published expired - -"}],
             "unreachable":true,"nothingWon":false,"goesOn":false,"hasEnded":false,"site":"","batchId":0}
            """
        },
        // Since attempts say who made them.
        {
            new AttemptsCompleted(
                "example.org", 77,
                [new CompletedAttempt(65_536_001, (int)AttemptOutcome.Deferred, "4.2.2", "full", "mx.example.org", s_at, s_at, "", "delivery-7d4f[10.0.0.7]")], false),
            """
            {"domain":"example.org","claimId":77,"results":[{"recipientId":65536001,"outcome":2,"status":"4.2.2","reply":"full",
             "remoteHost":"mx.example.org","startedAt":"2026-01-02T03:04:05.678+00:00","finishedAt":"2026-01-02T03:04:05.678+00:00",
             "tls":"","worker":"delivery-7d4f[10.0.0.7]"}],
             "unreachable":false,"nothingWon":false,"goesOn":false,"hasEnded":false,"site":"","batchId":0}
            """
        },
    };

    /// <summary>Since domains behind the same hosts share their connections.</summary>
    public static TheoryData<object, string> Version3 => new()
    {
        {
            new DeliverMessages("example.org", 77, [s_recipient], "mx.example.org", 4711, EndsConnection: true),
            $$"""{"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1}}],"site":"mx.example.org","siteEpoch":4711,"endsConnection":true}"""
        },
        {
            new DeliverMessages("example.org", 77, [s_recipient], "", Sender: "sender example.net", SenderEpoch: 4712),
            $$"""{"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1}}],"site":"","sender":"sender example.net","senderEpoch":4712}"""
        },
        {
            new AttemptsCompleted("example.org", 0, [], false, true, Site: "mx.example.org", BatchId: 76, IsElsewhere: true, SiteState: (int)SiteState.SlowDown),
            """
            {"domain":"example.org","claimId":0,"results":[],"unreachable":false,"nothingWon":true,"goesOn":false,"hasEnded":false,"site":"mx.example.org",
             "batchId":76,"isElsewhere":true,"siteState":3}
            """
        },
    };

    /// <summary>Since workers put off what they have no source address for.</summary>
    public static TheoryData<object, string> Version4 => new()
    {
        {
            new AttemptsCompleted(
                "example.org", 77,
                [new CompletedAttempt(65_536_001, (int)AttemptOutcome.Deferred, "4.4.5", "tomorrow", "", s_at, s_at, "", "delivery-7d4f", s_at.AddHours(1))], false),
            """
            {"domain":"example.org","claimId":77,"results":[{"recipientId":65536001,"outcome":2,"status":"4.4.5","reply":"tomorrow",
             "remoteHost":"","startedAt":"2026-01-02T03:04:05.678+00:00","finishedAt":"2026-01-02T03:04:05.678+00:00",
             "tls":"","worker":"delivery-7d4f","notBefore":"2026-01-02T04:04:05.678+00:00"}],
             "unreachable":false,"nothingWon":false,"goesOn":false,"hasEnded":false,"site":"","batchId":0}
            """
        },
    };

    /// <summary>Since others are told what becomes of mail; pages get the same.</summary>
    public static TheoryData<object, string> Version5 => new()
    {
        {
            new MailEventRecorded(
                "1E240-0-3", "deferred", s_at, "1E240", "1@example.org", "ann@example.org", "ann@example.org", "joe@example.net", "sales@example.org", "example.net",
                "mx.example.net[192.0.2.1]:25", "4.4.2", "450 later", "network", 3, s_at, IsHeld: false, IsExpired: false, IsUncertain: true, "QQ314159"),
            """
            {"id":"1E240-0-3","kind":"deferred","at":"2026-01-02T03:04:05.678+00:00","messageId":"1E240","headerId":"1@example.org","sender":"ann@example.org",
             "account":"ann@example.org","recipient":"joe@example.net","original":"sales@example.org","domain":"example.net","host":"mx.example.net[192.0.2.1]:25",
             "status":"4.4.2","reply":"450 later","replyClass":"network","attempt":3,"nextAttemptAt":"2026-01-02T03:04:05.678+00:00","isHeld":false,"isExpired":false,
             "isUncertain":true,"envelopeId":"QQ314159"}
            """
        },
        {
            new MailEventRecorded(
                "1E240-0-c", "complained", s_at, "1E240", "", "", "", "joe@example.net", "", "example.net", "", "", "", "", 0, null, IsHeld: false, IsExpired: false,
                IsUncertain: false, "", new MailFeedback("abuse", "example.net", "mx.example.net", "192.0.2.1", "joe@example.net", "1E300")),
            """
            {"id":"1E240-0-c","kind":"complained","at":"2026-01-02T03:04:05.678+00:00","messageId":"1E240","headerId":"","sender":"","account":"",
             "recipient":"joe@example.net","original":"","domain":"example.net","host":"","status":"","reply":"","replyClass":"","attempt":0,"nextAttemptAt":null,
             "isHeld":false,"isExpired":false,"isUncertain":false,"envelopeId":"",
             "feedback":{"type":"abuse","reporter":"example.net","host":"mx.example.net","source":"192.0.2.1","recipient":"joe@example.net","reportId":"1E300"}}
            """
        },
    };

    /// <summary>Since an operator leads mail elsewhere than to the hosts of its domain.</summary>
    public static TheoryData<object, string> Version6 => new()
    {
        {
            new DeliverMessages("example.org", 77, [s_recipient with { Attempts = 1_000_003 }], EndsConnection: true, RedirectTo: "mx.example.net:25"),
            $$"""
            {"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1.Replace("\"attempts\":3", "\"attempts\":1000003", StringComparison.Ordinal)}}],
             "endsConnection":true,"redirectTo":"mx.example.net:25"}
            """
        },
    };

    /// <summary>Since counted connections are kept for the batch that has their permit next.</summary>
    public static TheoryData<object, string> Version7 => new()
    {
        {
            new DeliverMessages("example.org", 77, [s_recipient], "mx.example.org", 4711, EndsConnection: true, MayKeep: true, KeptAfter: 76, MessagesPerConnection: 100),
            $$"""
            {"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1}}],"site":"mx.example.org","siteEpoch":4711,"endsConnection":true,
             "mayKeep":true,"keptAfter":76,"messagesPerConnection":100}
            """
        },
        {
            new AttemptsCompleted("example.org", 78, [], false, Site: "mx.example.org", BatchId: 77, KeptBy: "pod_delivery_bus_x1"),
            """
            {"domain":"example.org","claimId":78,"results":[],"unreachable":false,"nothingWon":false,"goesOn":false,"hasEnded":false,"site":"mx.example.org",
             "batchId":77,"isElsewhere":false,"siteState":0,"keptBy":"pod_delivery_bus_x1"}
            """
        },
    };

    /// <summary>Since suppression lists need to know who has refused, and who has reported.</summary>
    public static TheoryData<object, string> Version8 => new()
    {
        {
            new AttemptsCompleted("example.org", 77, [], false, BatchId: 76, IsRedirected: true),
            """
            {"domain":"example.org","claimId":77,"results":[],"unreachable":false,"nothingWon":false,"goesOn":false,"hasEnded":false,"site":"",
             "batchId":76,"isElsewhere":false,"siteState":0,"isRedirected":true}
            """
        },
        {
            new MailEventRecorded(
                "1E240-0-c", "complained", s_at, "1E240", "", "", "", "joe@example.net", "", "example.net", "", "", "", "", 0, null, IsHeld: false, IsExpired: false,
                IsUncertain: false, "", new MailFeedback("abuse", "example.net", "", "", "", "1E300", IsTrusted: true)),
            """
            {"id":"1E240-0-c","kind":"complained","at":"2026-01-02T03:04:05.678+00:00","messageId":"1E240","headerId":"","sender":"","account":"",
             "recipient":"joe@example.net","original":"","domain":"example.net","host":"","status":"","reply":"","replyClass":"","attempt":0,"nextAttemptAt":null,
             "isHeld":false,"isExpired":false,"isUncertain":false,"envelopeId":"",
             "feedback":{"type":"abuse","reporter":"example.net","host":"","source":"","recipient":"","reportId":"1E300","isTrusted":true}}
            """
        },
    };

    /// <summary>A worker that knows no other next hop would send it to the hosts of the domain; it claims by the number of attempts, and nobody has had that many.</summary>
    [Fact]
    public void What_is_led_elsewhere_goes_to_workers_with_a_number_of_attempts_that_nobody_has_had()
    {
        var secured = s_recipient with { Body = (int)BodyType.RequireTls };
        var command = new BatchCommand(77, "example.org", [s_recipient.ToRecipient(), secured.ToRecipient()], RedirectTo: "mx.example.net:25");
        var written = command.ToDeliverMessages();
        Assert.Equal([1_000_003, ~1_000_003], written.Recipients.Select(one => one.Attempts));
        Assert.Equivalent(command, written.ToBatchCommand(), strict: true);
    }

    [Fact]
    public void A_worker_of_an_earlier_version_does_not_say_whether_mail_was_led_elsewhere() =>
        Assert.Null(JsonSerializer.Deserialize<AttemptsCompleted>("""{"domain":"example.org","claimId":77,"results":[],"unreachable":false}""", SystemTextJsonMessageSerializer.Options)!.ToReport().IsRedirected);

    [Fact]
    public void A_worker_of_a_later_version_may_say_what_nobody_knows_of_a_site()
    {
        var report = new AttemptsCompleted("example.org", 78, [], false, SiteState: 4711).ToReport();
        Assert.Equal(SiteState.Unsaid, report.SiteState);
    }

    /// <summary>A worker that knows no REQUIRETLS claims by the number of attempts that it reads, and nobody has had that many.</summary>
    [Fact]
    public void What_needs_REQUIRETLS_goes_to_workers_with_the_complement_of_its_attempts()
    {
        var recipient = s_recipient with { Body = (int)BodyType.RequireTls };
        var command = new DeliverMessages("example.org", 77, [recipient, s_recipient]).ToBatchCommand();
        Assert.Equal([3, 3], command.Recipients.Select(meant => meant.Attempts));

        var written = JsonSerializer.SerializeToNode(command.ToDeliverMessages(), SystemTextJsonMessageSerializer.Options)!["recipients"]!.AsArray();
        Assert.Equal([-4, 3], written.Select(one => (int)one!["attempts"]!));
        var read = JsonSerializer.Deserialize<DeliverMessages>(
            $$"""{"domain":"example.org","claimId":77,"recipients":[{{RecipientInVersion1.Replace("\"body\":3,\"attempts\":3", "\"body\":64,\"attempts\":-4", StringComparison.Ordinal)}}]}""",
            SystemTextJsonMessageSerializer.Options)!.ToBatchCommand();
        Assert.Equivalent(command.Recipients[0], Assert.Single(read.Recipients), strict: true);

        // Queues and maildrops have nothing to fear of each other's versions.
        Assert.Equal(3, command.Recipients[0].ToContract().Attempts);
        Assert.Equal(3, command.ToStoreMessages().Recipients[0].Attempts);
    }

    /// <summary>Mail is the same after its way over the bus.</summary>
    [Fact]
    public void What_is_mapped_to_the_bus_and_back_is_as_it_was()
    {
        var envelope = new Envelope(1000, "you@example.net", ["ann@example.org"], 2048, BodyType.EightBitMime, s_at, "trace", "example.net", "why",
            Timing: new MailTiming { Priority = 3, Release = new ReleaseRequest("for;60", s_at.AddMinutes(1)) });
        var recipient = new Recipient(
            65_536_001, "ann@example.org", "you@example.net", 2048, BodyType.SmtpUtf8 | BodyType.RequireTls, 3, s_at, s_at.AddMinutes(5), RecipientRoute.Local, "trace",
            "list@example.org", "example.net", Priority: -3);
        var command = new BatchCommand(77, "example.org", [recipient]);
        var permitted = new BatchCommand(
            77, "example.org", [recipient], "mx.example.org", 4711, EndsConnection: true, "sender example.net", 4712, "mx.example.net:25", MayKeep: true, KeptAfter: 76, MessagesPerConnection: 100);
        var report = new AttemptReport(
            "example.org", 77, 78, [new(65_536_001, AttemptOutcome.Uncertain, "4.4.2", "contact lost", "mx.example.org", s_at, s_at, Tls: new("dane", "published", "tlsa", "TLSv1.3", "X"))], true, true, true, true, "mx.example.org", true, SiteState.Answered, "pod_delivery_bus_x1", IsRedirected: true);

        Assert.Equivalent(permitted, permitted.ToDeliverMessages().ToBatchCommand(), strict: true);
        Assert.Equivalent(envelope, envelope.ToContract().ToEnvelope(), strict: true);
        Assert.Equivalent(command, command.ToDeliverMessages().ToBatchCommand(), strict: true);
        Assert.Equivalent(command, command.ToStoreMessages().ToBatchCommand(), strict: true);
        Assert.Equivalent(recipient, recipient.ToContract().ToRecipient(), strict: true);
        Assert.Equivalent(report, report.ToContract().ToReport(), strict: true);
    }

    /// <summary>Without a broker it is handed over by reference; on one there is no envelope, and whoever puts one there is not listened to.</summary>
    [Fact]
    public void A_hint_on_the_broker_has_no_envelopes()
    {
        var hint = new[] { new Envelope(1000, "", ["ann@example.org"], 2048, BodyType.SevenBit, s_at, "") }.ToMessageAccepted();
        Assert.Single(hint.Messages!);

        Assert.Equal("""{"messageIds":[1000]}""", JsonSerializer.SerializeToNode(hint, SystemTextJsonMessageSerializer.Options)!.ToJsonString());
        var forged = JsonSerializer.Deserialize<MessageAccepted>(
            """{"messageIds":[1000],"messages":[{"messageId":1000,"recipients":["thief@example.net"]}]}""", SystemTextJsonMessageSerializer.Options);
        Assert.Null(forged!.Messages);
    }

    [Theory, MemberData(nameof(Version1)), MemberData(nameof(Version2)), MemberData(nameof(Version3)), MemberData(nameof(Version4)), MemberData(nameof(Version5)), MemberData(nameof(Version6)), MemberData(nameof(Version7)), MemberData(nameof(Version8))]
    public void What_version_1_wrote_is_read(object message, string frozen)
    {
        var read = JsonSerializer.Deserialize(frozen, message.GetType(), SystemTextJsonMessageSerializer.Options);
        Assert.Equivalent(message, read, strict: true);
    }

    [Theory, MemberData(nameof(Version1)), MemberData(nameof(Version2)), MemberData(nameof(Version3)), MemberData(nameof(Version4)), MemberData(nameof(Version5)), MemberData(nameof(Version6)), MemberData(nameof(Version7)), MemberData(nameof(Version8))]
    public void What_is_written_has_all_that_version_1_reads(object message, string frozen)
    {
        var written = JsonSerializer.SerializeToNode(message, message.GetType(), SystemTextJsonMessageSerializer.Options);
        Contains(JsonNode.Parse(frozen)!, written, "$");
    }

    [Theory, MemberData(nameof(Version1)), MemberData(nameof(Version2)), MemberData(nameof(Version3)), MemberData(nameof(Version4)), MemberData(nameof(Version5)), MemberData(nameof(Version6)), MemberData(nameof(Version7)), MemberData(nameof(Version8))]
    public void Fields_of_a_later_version_are_passed_over(object message, string frozen)
    {
        var later = JsonNode.Parse(frozen)!.AsObject();
        later["addedLater"] = new JsonObject { ["x"] = 1 };
        Assert.Equivalent(message, JsonSerializer.Deserialize(later, message.GetType(), SystemTextJsonMessageSerializer.Options), strict: true);
    }

    /// <summary>Everything of the frozen text stands in the written one, with the same value; more may stand there.</summary>
    private static void Contains(JsonNode? frozen, JsonNode? written, string path)
    {
        switch (frozen)
        {
            case JsonObject fields:
                foreach (var (name, value) in fields)
                    Contains(value, written?[name], $"{path}.{name}");
                break;
            case JsonArray items:
                Assert.Equal(items.Count, written!.AsArray().Count);
                for (var i = 0; i < items.Count; i++)
                    Contains(items[i], written[i], $"{path}[{i}]");
                break;
            default:
                Assert.True(JsonNode.DeepEquals(frozen, written), $"{path} is {written?.ToJsonString() ?? "missing"}, was {frozen?.ToJsonString() ?? "null"}");
                break;
        }
    }
}
