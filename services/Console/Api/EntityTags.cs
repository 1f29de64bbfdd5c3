using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace MailPipeline.Console.Api;

/// <summary>
/// Entity tags (RFC 9110 §8.8.3): who read a thing and changes it with If-Match changes what he has read, or is told that somebody else was faster. The thing is
/// looked at right before the change.
/// </summary>
internal static class EntityTags
{
    /// <summary>Answers with a thing and its tag.</summary>
    public static IResult Tagged<T>(HttpContext context, T thing)
    {
        context.Response.Headers.ETag = TagOf(context, thing);
        return TypedResults.Ok(thing);
    }

    /// <summary>Null: the request asks for nothing, or the thing is as it says.</summary>
    public static IResult? Refuse<T>(HttpContext context, T thing)
    {
        if (context.Request.Headers.IfMatch.Count == 0)
            return null;
        var wanted = context.Request.GetTypedHeaders().IfMatch;
        if (wanted.Count == 0)
            return Problem.Of(StatusCodes.Status400BadRequest, "badTag", "It must be an ETag as it was given, with its quotes", "If-Match");
        var tag = new EntityTagHeaderValue(TagOf(context, thing));
        return wanted.Any(one => one.Equals(EntityTagHeaderValue.Any) || one.Compare(tag, useStrongComparison: true))
            ? null : Problem.Of(StatusCodes.Status412PreconditionFailed, "changed", "It is not as If-Match says any more; read it again", "If-Match");
    }

    private static string TagOf<T>(HttpContext context, T thing)
    {
        var options = context.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        return $"\"{Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(thing, options)).AsSpan(0, 12))}\"";
    }
}
