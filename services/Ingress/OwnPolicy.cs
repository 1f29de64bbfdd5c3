using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// Serves the MTA-STS policy of our domains (RFC 8461 §3.2) on the HTTP port, to who asks for it at "mta-sts." and the domain. HTTPS, and with it the certificate
/// for that name, is the business of whatever stands in front of the port.
/// </summary>
internal sealed partial class OwnPolicy(MailDirectory directory, IOptions<IngressOptions> options, ILogger<OwnPolicy> log) : IStartupFilter
{
    private const string Path = "/.well-known/mta-sts.txt";

    private const string Prefix = "mta-sts.";

    private const int IdBytes = 10;

    private readonly MtaStsMode _mode = options.Value.MtaSts.Mode;
    private readonly string _text = Write(options.Value);

    /// <summary>Another for each policy, as the TXT record has to have (RFC 8461 §3.1).</summary>
    internal static string IdOf(string policy) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(policy)).AsSpan(0, IdBytes));

    internal static string Write(IngressOptions options)
    {
        var (policy, text) = (options.MtaSts, new StringBuilder("version: STSv1\r\n"));
        text.Append(CultureInfo.InvariantCulture, $"mode: {policy.Mode.ToString().ToLowerInvariant()}\r\n");
        foreach (var mx in policy.Mx.Count > 0 ? policy.Mx : [options.HostName])
            text.Append(CultureInfo.InvariantCulture, $"mx: {mx.ToLowerInvariant()}\r\n");
        return text.Append(CultureInfo.InvariantCulture, $"max_age: {(long)policy.MaxAge.TotalSeconds}\r\n").ToString();
    }

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        if (_mode != MtaStsMode.Off)
        {
            LogServed(log, _mode.ToString().ToLowerInvariant(), IdOf(_text));
            app.Use(AnswerAsync);
        }

        next(app);
    };

    private async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Request.Path != Path)
        {
            await next(context);
            return;
        }

        var isRead = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        context.Response.StatusCode = !isRead ? StatusCodes.Status405MethodNotAllowed : await IsOursAsync(context);
        if (context.Response.StatusCode != StatusCodes.Status200OK)
            return;
        context.Response.ContentType = "text/plain";
        context.Response.ContentLength = _text.Length;
        if (HttpMethods.IsGet(context.Request.Method))
            await context.Response.WriteAsync(_text, Encoding.ASCII, context.RequestAborted);
    }

    /// <summary>The status for a request at the name of a domain of ours, or of none.</summary>
    private async Task<int> IsOursAsync(HttpContext context)
    {
        var host = context.Request.Host.Host;
        if (!host.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) || !SmtpAddress.TryParse($"x@{host[Prefix.Length..]}", out _))
            return StatusCodes.Status404NotFound;
        try
        {
            return await directory.FindDomainAsync(host[Prefix.Length..].ToLowerInvariant(), context.RequestAborted) is not null
                ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
        }
        catch (StorageUnavailableException)
        {
            // Who has a policy of ours keeps it.
            return StatusCodes.Status503ServiceUnavailable;
        }
    }

    [LoggerMessage(1060, LogLevel.Information, "MTA-STS: mode={Mode}; each domain of ours needs the record '_mta-sts TXT \"v=STSv1; id={PolicyId};\"' and HTTPS for mta-sts.DOMAIN that leads to the HTTP port")]
    private static partial void LogServed(ILogger log, string mode, string policyId);
}
