using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using MailPipeline.Contracts;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Events;

/// <summary>What is posted: JSON of type, time and events, which are what the bus carries. The same events make the same octets each time.</summary>
/// <param name="Timestamp">Of the latest event in it.</param>
internal sealed record EventBody(string Type, DateTimeOffset Timestamp, PostedEvents Data)
{
    private const string TypeName = "mail.events";

    // It is read as JSON and as nothing else: no letter of an address needs to be hidden from a browser.
    private static readonly EventBodyJson s_json = new(new JsonSerializerOptions(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>Names the post: of the same events always the same. Of one it is the event's own.</summary>
    public static string IdOf(IReadOnlyList<WaitingEvent> events) => events is [var one]
        ? one.Id : $"batch-{Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Join(' ', events.Select(sent => sent.Id)))).AsSpan(0, 16))}";

    public static byte[] Of(IReadOnlyList<WaitingEvent> events) => JsonSerializer.SerializeToUtf8Bytes(
        new EventBody(TypeName, events.Max(sent => sent.At), new PostedEvents([.. events.Select(sent => sent.ToContract())])), s_json.EventBody);
}

internal sealed record PostedEvents(IReadOnlyList<MailEventRecorded> Events);

[JsonSerializable(typeof(EventBody))]
internal sealed partial class EventBodyJson : JsonSerializerContext;
