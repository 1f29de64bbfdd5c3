using System.Net;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>What a filter is told of a client.</summary>
/// <param name="HostName">Its name where somebody said it, else its address in brackets.</param>
/// <param name="Local">Our name.</param>
/// <param name="Listener">The name of the listener it came to.</param>
internal sealed record FilteredClient(IPEndPoint? EndPoint, string HostName, string Local, string Listener);

/// <summary>What a filter is told of the sender of a message.</summary>
/// <param name="Address">Null for the null path.</param>
/// <param name="User">Who has logged in; null is a stranger.</param>
/// <param name="Mechanism">By which one, as SASL calls it; empty of a stranger.</param>
internal sealed record FilteredSender(SmtpAddress? Address, string? User, string Mechanism);

/// <summary>
/// What one filter thinks of one session, step by step. Each step may end with an answer other than to go on; a filter that is away throws
/// nothing: what becomes of mail then its settings say.
/// </summary>
internal interface IFilter : IAsyncDisposable
{
    string Name { get; }

    ValueTask<FilterAnswer> ConnectAsync(FilteredClient client);

    /// <param name="tls">Null: it speaks in clear.</param>
    ValueTask<FilterAnswer> HelloAsync(string greeting, TlsParameters? tls);

    /// <summary>A message begins; one that was under way is over.</summary>
    ValueTask<FilterAnswer> SenderAsync(FilteredSender sender);

    ValueTask<FilterAnswer> RecipientAsync(SmtpAddress recipient);

    /// <summary>Its content comes.</summary>
    /// <param name="recipients">Those that were taken.</param>
    ValueTask BeginContentAsync(string messageId, IReadOnlyList<SmtpAddress> recipients);

    /// <summary>More of the content, as it is kept.</summary>
    ValueTask ContentAsync(ReadOnlyMemory<byte> content);

    /// <summary>The content has ended: what becomes of the message.</summary>
    ValueTask<FilterAnswer> EndAsync(FilterChanges changes);
}
