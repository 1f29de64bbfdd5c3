using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>Section <c>Http</c>: where a service answers /health/live, /health/ready and /metrics, in clear text.</summary>
public sealed class HttpOptions
{
    public const string Section = "Http";

    /// <summary>IP address to listen on. Default 127.0.0.1: metrics are nobody else's business unless the operator says so.</summary>
    [Required]
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>TCP port, 0 to 65535; 0 takes a free one. Default 8080.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8080;

    internal IPEndPoint EndPoint => new(IPAddress.Parse(Address), Port);
}

[OptionsValidator]
internal sealed partial class HttpOptionsValidator : IValidateOptions<HttpOptions>;
